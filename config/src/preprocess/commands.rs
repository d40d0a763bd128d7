//! What a directive does, whichever form it was written in.

use super::{Preprocessor, Refused, decode};
use crate::limits::{GLOBAL_VALUE_BYTES_MAX, GLOBALS_MAX};
use crate::nearest::nearest;
use crate::path::beside;
use crate::pattern::has_wildcard;
use crate::place::Place;
use crate::source::Line;

impl Preprocessor<'_> {
    /// Runs one command with the text given to it.
    pub(super) fn run(
        &mut self,
        line: &Line<'_>,
        at: usize,
        command: &str,
        data: &str,
    ) -> Result<(), Refused> {
        let place = line.place(at);
        match command.to_ascii_lowercase().as_str() {
            "set" => self.set(place, data, |_, _, value| Some(value.to_owned())),
            "env-set" => self.set(place, data, Self::environment),
            "stun-set" => self.set(place, data, Self::external_address),
            "exec-set" => self.set(place, data, Self::output_value),
            "include" => self.include(&line.file.name, place, data),
            "exec" => self.exec(line, place, data),
            other => {
                let commands = ["set", "include", "env-set", "exec", "exec-set", "stun-set"];
                let what = format!("unknown directive `{other}`");
                match nearest(other, commands) {
                    Some(near) => self.problems.warning_expecting(place, what, format!("`{near}`")),
                    None => self.problems.warning(place, what),
                }
                Ok(())
            }
        }
    }

    /// All `…set` commands: `name=text`, where the text becomes a value in the command's own way.
    fn set(
        &mut self,
        place: Place,
        data: &str,
        value: impl FnOnce(&mut Self, &Place, &str) -> Option<String>,
    ) -> Result<(), Refused> {
        let Some((name, text)) = data.split_once('=') else {
            self.problems.warning_expecting(place, format!("`{data}` sets nothing"), "`name=value`");
            return Ok(());
        };
        let name = name.trim_end_matches(' ');
        let Some(value) = value(self, &place, text.trim_start_matches(' ')) else { return Ok(()) };
        if value.len() > GLOBAL_VALUE_BYTES_MAX {
            let what = format!("the value of `{name}` is longer than {GLOBAL_VALUE_BYTES_MAX} bytes");
            return self.refuse(place, what);
        }
        if self.globals.len() >= GLOBALS_MAX && self.globals.get(name).is_none() {
            return self.refuse(place, format!("more than {GLOBALS_MAX} global variables"));
        }
        self.globals.set(name, &value);
        Ok(())
    }

    fn environment(&mut self, place: &Place, text: &str) -> Option<String> {
        let Some(name) = text.strip_prefix('$') else {
            self.problems.warning_expecting(
                place.clone(),
                "`env-set` without `$` sets nothing",
                "`NAME=$NAME`",
            );
            return None;
        };
        let value = self.files.environment(name);
        if value.is_none() {
            self.problems.warning(place.clone(), format!("the environment has no `{name}`"));
        }
        value
    }

    /// The address that a STUN server would tell. None is asked while loading: a reload must not wait for the
    /// network, so the address is the one that the caller knows the default route to leave by.
    fn external_address(&mut self, place: &Place, _server: &str) -> Option<String> {
        let known = self.options.default_route_address.clone();
        let address = known.or_else(|| self.globals.get("local_ip_v4").map(str::to_owned));
        let what = match &address {
            Some(address) => {
                format!("no STUN server is asked; the address of the default route, {address}, is used")
            }
            None => "no STUN server is asked, and no address is known: nothing is set".to_owned(),
        };
        self.problems.warning(place.clone(), what);
        address
    }

    fn output_value(&mut self, place: &Place, command: &str) -> Option<String> {
        let output = self.output(place, command)?;
        Some(output.trim_end().to_owned())
    }

    /// Runs a command, if that is allowed at all.
    fn output(&mut self, place: &Place, command: &str) -> Option<String> {
        if !self.options.allow_exec {
            let what = format!("`{command}` is not run: commands in configuration files are not allowed");
            self.problems.warning(place.clone(), what);
            return None;
        }
        match self.files.execute(command) {
            Ok(bytes) => Some(decode(bytes).0),
            Err(reason) => {
                self.problems.error(place.clone(), format!("`{command}` failed: {reason}"));
                None
            }
        }
    }

    fn exec(&mut self, line: &Line<'_>, place: Place, command: &str) -> Result<(), Refused> {
        let Some(output) = self.output(&place, command) else { return Ok(()) };
        if output.len() >= self.bytes_left() {
            return self.refuse(place, format!("`{command}` wrote more than a configuration may hold"));
        }
        self.bytes_expanded += output.len() + 1;
        self.in_comment = self.is_in_comment(&output);
        self.source.push_inserted(line, place, &output);
        self.source.end_line();
        Ok(())
    }

    fn include(&mut self, including: &str, place: Place, pattern: &str) -> Result<(), Refused> {
        let pattern = beside(including, pattern);
        let mut paths = match self.files.glob(&pattern) {
            Ok(paths) => paths,
            Err(reason) => {
                self.problems.error(place, format!("`{pattern}` cannot be looked up: {reason}"));
                return Ok(());
            }
        };
        // Exception: FreeSWITCH passes over a missing file in silence. A pattern may match nothing, but who
        // names one file means it, and half a configuration is worse than the old one.
        if paths.is_empty() && !has_wildcard(&pattern) {
            self.problems.error(place, format!("`{pattern}` does not exist"));
            return Ok(());
        }
        paths.sort();
        for path in paths {
            self.file(&path, Some(place.clone()))?;
        }
        Ok(())
    }
}
