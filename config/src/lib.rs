//! FreeSWITCH's XML configuration as a tree whose every node knows its file, line and column.
