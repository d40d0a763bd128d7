//! Any bytes as a stream: however it is cut, the same messages come out and memory stays bounded.
#![no_main]

use libfuzzer_sys::fuzz_target;
use signaling::StreamFramer;

fuzz_target!(|data: &[u8]| {
    let Some((&step, stream)) = data.split_first() else {
        return;
    };
    let whole = frame(stream, stream.len().max(1));
    let cut = frame(stream, usize::from(step).max(1));
    assert_eq!(whole, cut);
});

fn frame(stream: &[u8], step: usize) -> (Vec<bytes::Bytes>, bool) {
    let mut framer = StreamFramer::new();
    let mut messages = Vec::new();
    for chunk in stream.chunks(step) {
        framer.push(chunk);
        loop {
            match framer.poll_message() {
                Ok(Some(message)) => messages.push(message),
                Ok(None) => break,
                Err(_) => return (messages, true),
            }
        }
    }
    (messages, false)
}
