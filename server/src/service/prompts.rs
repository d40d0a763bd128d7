//! Prompts: WAV files, decoded once and shared.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use codecs::wav::WAV_BYTES_MAX;
use codecs::{resample, wav};
use link::Prompt;
use tokio::sync::Semaphore;

/// Memory of all prompts that are kept, in bytes. Above it those that were not used for longest go; one that a call
/// plays lives on until it is played.
const CACHE_BYTES_MAX: usize = 256 << 20;
/// Longest prompt, in samples: an hour at 8,000 Hz.
const PROMPT_SAMPLES_MAX: usize = 28_800_000;
/// Files decoded at once.
const DECODES_MAX: usize = 2;
/// Directories by sampling rate in which sets of prompts keep their files, best first: the rate we play needs no work.
const RATES: [&str; 4] = ["8000", "16000", "32000", "48000"];

/// All prompts that were asked for of late.
pub struct Prompts {
    sounds: PathBuf,
    decodes: Semaphore,
    cache: RefCell<Cache>,
}

#[derive(Default)]
struct Cache {
    prompts: BTreeMap<PathBuf, Kept>,
    /// Bytes of all samples.
    len: usize,
    uses: u64,
}

struct Kept {
    version: Version,
    prompt: Arc<Prompt>,
    used: u64,
}

/// What tells a changed file from the one that was decoded.
type Version = (u64, Option<SystemTime>);

impl Prompts {
    /// None yet; relative paths are looked for below `sounds`.
    pub fn new(sounds: PathBuf) -> Prompts {
        Prompts { sounds, decodes: Semaphore::new(DECODES_MAX), cache: RefCell::default() }
    }

    /// A file's samples at the rate that is played, or why there are none.
    pub async fn prompt(&self, name: String) -> Result<Arc<Prompt>, String> {
        let named = self.sounds.join(&name);
        if Path::new(&name).is_relative() && !stays_below(Path::new(&name)) {
            return Err(format!("{name}: leads out of the directory of sounds"));
        }
        let (path, version) = blocking(move || locate(&named)).await?;
        if let Some(prompt) = self.cache.borrow_mut().take(&path, version) {
            return Ok(prompt);
        }
        let _turn = self.decodes.acquire().await.map_err(|error| error.to_string())?;
        // Another call may have asked for the same one, and waited for the same turn.
        if let Some(prompt) = self.cache.borrow_mut().take(&path, version) {
            return Ok(prompt);
        }
        let file = path.clone();
        let prompt = Arc::new(blocking(move || decode(&file)).await?);
        self.cache.borrow_mut().keep(path, version, Arc::clone(&prompt));
        Ok(prompt)
    }
}

impl Cache {
    fn take(&mut self, path: &Path, version: Version) -> Option<Arc<Prompt>> {
        let kept = self.prompts.get_mut(path).filter(|kept| kept.version == version)?;
        self.uses += 1;
        kept.used = self.uses;
        Some(Arc::clone(&kept.prompt))
    }

    fn keep(&mut self, path: PathBuf, version: Version, prompt: Arc<Prompt>) {
        self.uses += 1;
        self.len += prompt_len(&prompt);
        let kept = Kept { version, prompt, used: self.uses };
        if let Some(old) = self.prompts.insert(path, kept) {
            self.len -= prompt_len(&old.prompt);
        }
        while self.len > CACHE_BYTES_MAX && self.prompts.len() > 1 {
            let oldest = self.prompts.iter().min_by_key(|(_, kept)| kept.used).map(|(path, _)| path.clone());
            let Some(gone) = oldest.and_then(|path| self.prompts.remove(&path)) else { return };
            self.len -= prompt_len(&gone.prompt);
        }
    }
}

fn prompt_len(prompt: &Prompt) -> usize {
    prompt.samples.len() * size_of::<i16>()
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, String> + Send + 'static,
) -> Result<T, String> {
    tokio::task::spawn_blocking(work).await.map_err(|error| error.to_string())?
}

/// Whether a relative path leads nowhere but down.
fn stays_below(path: &Path) -> bool {
    path.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir))
}

/// The file that is meant: the one named, or one of that name in a directory of its sampling rate.
fn locate(named: &Path) -> Result<(PathBuf, Version), String> {
    let beside = |rate: &str| Some(named.parent()?.join(rate).join(named.file_name()?));
    let candidates = std::iter::once(named.to_owned()).chain(RATES.into_iter().filter_map(beside));
    for path in candidates {
        if let Ok(metadata) = fs::metadata(&path)
            && metadata.is_file()
        {
            return Ok((path, (metadata.len(), metadata.modified().ok())));
        }
    }
    Err(format!("{}: no such file", named.display()))
}

fn decode(path: &Path) -> Result<Prompt, String> {
    let named = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let file = File::open(path).map_err(|error| named(&error))?;
    let mut bytes = Vec::new();
    let limit = WAV_BYTES_MAX as u64 + 1;
    file.take(limit).read_to_end(&mut bytes).map_err(|error| named(&error))?;
    let pcm = wav::decode(&bytes).map_err(|error| named(&error))?;
    let samples = resample::resample(&pcm, Prompt::RATE_HZ).map_err(|error| named(&error))?;
    if samples.len() > PROMPT_SAMPLES_MAX {
        return Err(named(&"longer than an hour"));
    }
    Ok(Prompt { samples })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Directory;

    fn wav(samples: &[i16]) -> Vec<u8> {
        let data: Vec<u8> = samples.iter().flat_map(|sample| sample.to_le_bytes()).collect();
        let mut bytes =
            b"RIFF____WAVEfmt \x10\0\0\0\x01\0\x01\0\x40\x1f\0\0\x80\x3e\0\0\x02\0\x10\0data".to_vec();
        bytes.extend((data.len() as u32).to_le_bytes());
        bytes.extend(data);
        bytes
    }

    fn run<T>(work: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().build().expect("a runtime").block_on(work)
    }

    #[test]
    fn a_prompt_is_decoded_once_and_again_when_its_file_changed() {
        let directory = Directory::new("prompt");
        directory.write("ivr/8000/hello.wav", wav(&[1, 2, 3]));
        let prompts = Prompts::new(directory.join("").into());
        let ask = || run(prompts.prompt("ivr/hello.wav".to_owned())).expect("decodes");
        let first = ask();
        assert_eq!(first.samples, [1, 2, 3]);
        assert!(Arc::ptr_eq(&first, &ask()));
        directory.write("ivr/8000/hello.wav", wav(&[4, 5]));
        assert_eq!(ask().samples, [4, 5]);
        assert_eq!(prompts.cache.borrow().len, 4);
    }

    #[test]
    fn what_is_missing_broken_or_outside_is_refused_in_words() {
        let directory = Directory::new("refused-prompt");
        directory.write("sounds/broken.wav", "RIFF");
        directory.write("secret.wav", wav(&[1]));
        let prompts = Prompts::new(directory.join("sounds").into());
        let ask = |name: &str| run(prompts.prompt(name.to_owned())).expect_err("refused");
        assert!(ask("absent.wav").ends_with("absent.wav: no such file"));
        assert!(ask("broken.wav").ends_with("broken.wav: not a WAV file"));
        assert!(ask("../secret.wav").ends_with("leads out of the directory of sounds"));
        assert!(run(prompts.prompt(directory.join("secret.wav"))).is_ok());
    }

    #[test]
    fn the_cache_forgets_what_was_not_used_for_longest() {
        let mut cache = Cache::default();
        let half = Arc::new(Prompt { samples: vec![0; CACHE_BYTES_MAX / 2 / size_of::<i16>()] });
        let version = (0, None);
        cache.keep("a".into(), version, Arc::clone(&half));
        cache.keep("b".into(), version, Arc::clone(&half));
        assert!(cache.take(Path::new("a"), version).is_some());
        cache.keep("c".into(), version, half);
        assert!(cache.take(Path::new("b"), version).is_none());
        assert!(cache.take(Path::new("a"), version).is_some());
        assert_eq!(cache.len, CACHE_BYTES_MAX);
    }
}
