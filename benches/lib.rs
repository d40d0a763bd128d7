//! Benchmarks live beside this file, one directory each. Run one with `cargo bench -p benches --bench NAME`.
