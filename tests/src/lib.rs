//! Whole-system scenarios in one process under one seed, and end-to-end tests against real programs.
