use crate::clock::ClockSource;
use crate::gpu::{FakeGpu, FakeMigSlice, MIG_SLICES_PER_GPU};
use crate::pci::PciAddress;
use crate::quantity::{format_energy, format_power, format_time, parse_energy, parse_power, parse_time};
use crate::script::{NvmlScript, NvmlScriptError};
use std::fmt;
use std::str::FromStr;

impl FromStr for NvmlScript {
    type Err = NvmlScriptError;

    fn from_str(text: &str) -> Result<Self, NvmlScriptError> {
        let mut script = Self::default();
        let mut line = 0;
        for statement in text.lines() {
            line += 1;
            let words = split_words(statement).map_err(|message| NvmlScriptError { line, message })?;
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            script.apply_statement(&words).map_err(|message| NvmlScriptError { line, message })?;
        }
        script.validate().map_err(|message| NvmlScriptError { line, message })?;
        Ok(script)
    }
}

impl NvmlScript {
    fn apply_statement(&mut self, words: &[&str]) -> Result<(), String> {
        match *words {
            [] => {}
            ["driver", version] => self.driver_version = version.into(),
            ["slowinit", delay] => self.init_delay = parse_time(delay)?,
            ["devicecount", count] => {
                self.device_count =
                    Some(count.parse().map_err(|_| format!("`{count}` is not a number of devices"))?);
            }
            ["clock", "real"] => self.clock = ClockSource::Real,
            ["clock", "since", time] => self.clock = ClockSource::Since(parse_time(time)?),
            ["clock", "file", path] => self.clock = ClockSource::File(path.into()),
            ["board", index, ref details @ ..] if index == self.gpus.len().to_string() => {
                self.gpus.push(parse_gpu(details)?);
            }
            ["board", index, ..] => {
                return Err(format!("board {index} is not the next one: {}", self.gpus.len()));
            }
            [keyword, index, ref arguments @ ..] => {
                let gpu = index.parse().ok().and_then(|index: usize| self.gpus.get_mut(index));
                let gpu =
                    gpu.ok_or_else(|| format!("`{index}` is not the number of a board above this line"))?;
                gpu.apply_statement(keyword, arguments)?;
            }
            [keyword] => return Err(format!("`{keyword}` is not a statement")),
        }
        Ok(())
    }

    /// Checks that need the whole script.
    fn validate(&self) -> Result<(), String> {
        for (index, gpu) in self.gpus.iter().enumerate() {
            let FakeGpu { power_trace: trace, pci_address, uuid, .. } = gpu;
            let is_ascending = trace.steps.is_sorted_by(|one, next| one.0 < next.0);
            let first = trace.steps.first().map(|(at, _)| *at);
            let last = trace.steps.last().map(|(at, _)| *at);
            let address = PciAddress::parse(pci_address)
                .ok_or_else(|| format!("`{pci_address}` of board {index} is not a PCI address"))?;
            let others = &self.gpus[..index];
            if first.is_some_and(|at| !at.is_zero()) || !is_ascending {
                return Err(format!("the power of board {index} does not begin at 0s and go forward"));
            }
            if trace.period.is_some() && trace.period <= last {
                return Err(format!(
                    "the power of board {index} has a step that its repetition never reaches"
                ));
            }
            if !gpu.mig_slices.is_empty() && gpu.mig_mode != Some(true) {
                return Err(format!("board {index} has slices and its MIG mode is not on"));
            }
            if first.is_none()
                && (trace.period.is_some()
                    || gpu.counter_tick.is_some()
                    || gpu.averaging_window.is_some()
                    || gpu.has_power_fields)
            {
                return Err(format!(
                    "board {index} has no line `power {index} 0s …`, which its other lines need"
                ));
            }
            if others
                .iter()
                .any(|other| other.uuid == *uuid || PciAddress::parse(&other.pci_address) == Some(address))
            {
                return Err(format!("board {index} has the UUID or the PCI address of another board"));
            }
        }
        Ok(())
    }
}

fn parse_gpu(details: &[&str]) -> Result<FakeGpu, String> {
    let (uuid, pci, name, limit) = match *details {
        ["uuid", uuid, "pci", pci, "name", name] => (uuid, pci, name, None),
        ["uuid", uuid, "pci", pci, "name", name, "limit", limit] => {
            (uuid, pci, name, Some(parse_power(limit)?))
        }
        _ => return Err("write: board N uuid UUID pci ADDRESS name \"NAME\" [limit POWER]".into()),
    };
    Ok(FakeGpu { power_limit: limit, ..FakeGpu::new(uuid, pci, name) })
}

impl FakeGpu {
    fn apply_statement(&mut self, keyword: &str, arguments: &[&str]) -> Result<(), String> {
        if let Some(applied) = self.faults.apply_statement(keyword, arguments) {
            return applied;
        }
        match (keyword, arguments) {
            ("power", [at, power]) => self.power_trace.steps.push((parse_time(at)?, parse_power(power)?)),
            ("repeat", [period]) => self.power_trace.period = Some(parse_time(period)?),
            ("counter", ["tick", tick]) => self.counter_tick = Some(parse_time(tick)?),
            ("counter", ["tick", tick, "start", energy]) => {
                self.counter_tick = Some(parse_time(tick)?);
                self.initial_counter = parse_energy(energy)?;
            }
            ("nocounter", []) => (self.counter_tick, self.initial_counter) = (None, 0),
            ("average", [window]) => self.averaging_window = Some(parse_time(window)?),
            ("instant", [answer @ ("yes" | "no")]) => self.has_power_fields = *answer == "yes",
            ("reset", [at]) => self.counter_resets.push(parse_time(at)?),
            ("lost", [at]) => self.lost_at = Some(parse_time(at)?),
            ("slow", [each_query]) => self.query_delay = parse_time(each_query)?,
            ("slowcounter", [each_reading]) => self.counter_delay = parse_time(each_reading)?,
            ("nomemory", []) => self.lacks_memory_info = true,
            ("mig", [mode @ ("on" | "off")]) => self.mig_mode = Some(*mode == "on"),
            ("slice", [uuid, parts, ids @ ..]) => {
                let parts = parts.parse().ok().filter(|parts| (1..=MIG_SLICES_PER_GPU).contains(parts));
                let parts =
                    parts.ok_or(format!("a slice has 1 to {MIG_SLICES_PER_GPU} parts of its board"))?;
                let processes = ids.iter().map(|id| parse_process_id(id)).collect::<Result<_, _>>()?;
                self.mig_slices.push(FakeMigSlice {
                    uuid: (*uuid).to_owned(),
                    compute_slices: parts,
                    processes,
                });
            }
            ("process", [id]) => self.processes.push(parse_process_id(id)?),
            _ => return Err(format!("`{keyword} N {}` is not a statement", arguments.join(" "))),
        }
        Ok(())
    }

    /// The lines that [`apply_statement`](Self::apply_statement) reads back, without the GPU's number.
    fn to_statements(&self) -> Vec<(&'static str, String)> {
        let mut lines = Vec::new();
        lines.extend(
            self.power_trace
                .steps
                .iter()
                .map(|(at, power)| ("power", format!("{} {}", format_time(*at), format_power(*power)))),
        );
        lines.extend(self.power_trace.period.map(|period| ("repeat", format_time(period))));
        lines.extend(self.counter_tick.map(|tick| {
            ("counter", format!("tick {} start {}", format_time(tick), format_energy(self.initial_counter)))
        }));
        lines.extend(self.averaging_window.map(|window| ("average", format_time(window))));
        lines.extend(self.has_power_fields.then(|| ("instant", "yes".into())));
        lines.extend(self.counter_resets.iter().map(|at| ("reset", format_time(*at))));
        lines.extend(self.lost_at.map(|at| ("lost", format_time(at))));
        lines.extend((!self.query_delay.is_zero()).then(|| ("slow", format_time(self.query_delay))));
        lines.extend(
            (!self.counter_delay.is_zero()).then(|| ("slowcounter", format_time(self.counter_delay))),
        );
        lines.extend(self.lacks_memory_info.then(|| ("nomemory", String::new())));
        lines.extend(self.mig_mode.map(|on| ("mig", if on { "on".into() } else { "off".into() })));
        lines.extend(self.mig_slices.iter().map(
            |FakeMigSlice { uuid, compute_slices: parts, processes }| {
                let ids: String = processes.iter().map(|id| format!(" {id}")).collect();
                ("slice", format!("\"{uuid}\" {parts}{ids}"))
            },
        ));
        lines.extend(self.processes.iter().map(|id| ("process", id.to_string())));
        lines.extend(self.faults.to_statements());
        lines
    }
}

fn parse_process_id(id: &str) -> Result<u32, String> {
    id.parse().map_err(|_| format!("`{id}` is not the id of a process"))
}

impl fmt::Display for NvmlScript {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "driver \"{}\"", self.driver_version)?;
        if !self.init_delay.is_zero() {
            writeln!(formatter, "slowinit {}", format_time(self.init_delay))?;
        }
        if let Some(count) = self.device_count {
            writeln!(formatter, "devicecount {count}")?;
        }
        match &self.clock {
            ClockSource::Real => writeln!(formatter, "clock real")?,
            ClockSource::Since(zero) => writeln!(formatter, "clock since {}", format_time(*zero))?,
            ClockSource::File(path) => writeln!(formatter, "clock file \"{}\"", path.display())?,
        }
        for (index, gpu) in self.gpus.iter().enumerate() {
            let FakeGpu { uuid, pci_address, name, .. } = gpu;
            write!(formatter, "board {index} uuid \"{uuid}\" pci \"{pci_address}\" name \"{name}\"")?;
            match gpu.power_limit {
                Some(limit) => writeln!(formatter, " limit {}", format_power(limit))?,
                None => writeln!(formatter)?,
            }
            for (keyword, arguments) in gpu.to_statements() {
                writeln!(formatter, "{keyword} {index} {arguments}")?;
            }
        }
        Ok(())
    }
}

/// The words of a line, separated by white space; quoted words may contain spaces. A `#` between words ends
/// the line.
fn split_words(line: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut rest = line.trim();
    while !rest.is_empty() && !rest.starts_with('#') {
        let (word, after) = match rest.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').ok_or("a quotation mark is not closed")?,
            None => rest.split_at(rest.find(char::is_whitespace).unwrap_or(rest.len())),
        };
        if word.contains(char::is_control) || !(after.is_empty() || after.starts_with(char::is_whitespace)) {
            return Err(format!("`{word}` is not followed by a space, or has a control character"));
        }
        words.push(word.to_owned());
        rest = after.trim_start();
    }
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const GPU_LINE: &str = "board 0 uuid GPU-a pci 0000:07:00.0 name \"NVIDIA H200\" limit 700W\n";

    #[test]
    fn every_statement_round_trips() {
        let s = Duration::from_secs;
        let full = FakeGpu::new("GPU-a", "0000:07:00.0", "NVIDIA H200")
            .power_limit(700)
            .power_from(s(0), 100)
            .power_from(s(1), 400)
            .repeat_every(s(2));
        let full = full
            .energy_counter(s(3))
            .initial_counter(5000)
            .averaging_window(s(4))
            .power_fields()
            .counter_reset(s(5))
            .counter_reset(s(6))
            .lost_at(s(7));
        let full = full
            .query_delay(s(8))
            .counter_delay(s(9))
            .without_memory_info()
            .with_mig_slice("MIG-a", 3, &[9, 10])
            .with_mig_slice("MIG-b", 1, &[]);
        let full = full.with_process(11).with_process(12).hangs_from(s(13)).process_count(14);
        let full = full.counter_frozen(s(15), s(16)).counter_dip(s(17), s(18), 19);
        let full = full.counter_steps_back(s(20), 21).false_power(s(22), s(23), 24);
        let bare = FakeGpu::new("GPU-b", "0000:08:00.0", "Bare");
        let script = NvmlScript {
            clock: ClockSource::Since(Duration::from_nanos(1)),
            ..NvmlScript::new()
                .driver_version("535.1")
                .init_delay(s(25))
                .device_count(26)
                .with_gpu(full)
                .with_gpu(bare)
        };
        assert_eq!(script.to_string().parse(), Ok(script.clone()));
        assert_eq!(script.to_string().lines().count(), 4 + 24 + 1);
        let script = NvmlScript { clock: ClockSource::File("a folder/clock".into()), ..script };
        assert_eq!(script.to_string().parse(), Ok(script));
    }

    #[test]
    fn hand_written_script_is_parsed() {
        let text = format!(
            "# two phases\n\n{GPU_LINE}  power 0 0s 100W # idle\npower 0 0.7s 400W\nmig 0 off\ninstant 0 no\nnocounter 0\n"
        );
        let gpu = FakeGpu::new("GPU-a", "0000:07:00.0", "NVIDIA H200").power_limit(700).mig_mode(false);
        let gpu = gpu.power_from(Duration::ZERO, 100).power_from(Duration::from_millis(700), 400);
        assert_eq!(text.parse(), Ok(NvmlScript::new().with_gpu(gpu)));
    }

    #[test]
    fn parse_error_names_line() {
        let cases = [
            ("power 1 0s 100W", "line 2: `1` is not the number of a board above this line"),
            ("power 0 0s 100", "line 2: `100` is not a power: write a number with one of the units W, mW"),
            ("power 0 5s 100W", "line 2: the power of board 0 does not begin at 0s and go forward"),
            (
                "power 0 0s 1W\npower 0 2s 1W\npower 0 2s 2W",
                "line 4: the power of board 0 does not begin at 0s and go forward",
            ),
            (
                "power 0 0s 1W\npower 0 2s 1W\nrepeat 0 2s",
                "line 4: the power of board 0 has a step that its repetition never reaches",
            ),
            (
                "power 0 0s 1W\nrepeat 0 0s",
                "line 3: the power of board 0 has a step that its repetition never reaches",
            ),
            ("counter 0 tick 20ms", "line 2: board 0 has no line `power 0 0s …`, which its other lines need"),
            ("counter 0 20ms", "line 2: `counter N 20ms` is not a statement"),
            ("instant 0 maybe", "line 2: `instant N maybe` is not a statement"),
            ("process 0 -1", "line 2: `-1` is not the id of a process"),
            ("slice 0 MIG-a 8", "line 2: a slice has 1 to 7 parts of its board"),
            ("slice 0 MIG-a 1", "line 2: board 0 has slices and its MIG mode is not on"),
            ("lost", "line 2: `lost` is not a statement"),
            ("driver \"580", "line 2: a quotation mark is not closed"),
            ("driver \"580\"90", "line 2: `580` is not followed by a space, or has a control character"),
            ("board 2 uuid GPU-b pci 08:00.0 name B", "line 2: board 2 is not the next one: 1"),
            (
                "board 1 uuid GPU-b",
                "line 2: write: board N uuid UUID pci ADDRESS name \"NAME\" [limit POWER]",
            ),
            ("board 1 uuid GPU-b pci 8 name B", "line 2: `8` of board 1 is not a PCI address"),
            (
                "board 1 uuid GPU-a pci 08:00.0 name B",
                "line 2: board 1 has the UUID or the PCI address of another board",
            ),
            (
                "board 1 uuid GPU-b pci 07:00.0 name B",
                "line 2: board 1 has the UUID or the PCI address of another board",
            ),
        ];
        for (lines, expected) in cases {
            let error = format!("{GPU_LINE}{lines}\n").parse::<NvmlScript>().unwrap_err();
            assert_eq!(error.to_string(), expected);
        }
    }

    #[test]
    fn unparsable_script_is_not_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("script.nvml");
        let named = |name: &str| NvmlScript::new().with_gpu(FakeGpu::new("GPU-a", "07:00.0", name));
        let unsteady = FakeGpu::new("GPU-a", "07:00.0", "A").power_from(Duration::from_secs(1), 1);
        for script in [named("a \"b\" c"), named("a\nslow 0 1s"), NvmlScript::new().with_gpu(unsteady)] {
            assert_eq!(script.write(&path).unwrap_err().kind(), std::io::ErrorKind::InvalidInput);
            assert!(!path.exists());
        }
    }
}
