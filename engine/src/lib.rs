//! The media path: stream table, RTP, and the io_uring and mmsg back ends that feed it.
