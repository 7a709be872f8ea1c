use crate::board::{Board, SLICES_OF_A_BOARD, Slice};
use crate::clock::ClockChoice;
use crate::pci::PciAddress;
use crate::quantity::{parse_energy, parse_power, parse_time, show_energy, show_power, show_time};
use crate::script::{Script, ScriptError};
use std::fmt;
use std::str::FromStr;

impl FromStr for Script {
    type Err = ScriptError;

    fn from_str(text: &str) -> Result<Self, ScriptError> {
        let mut script = Self::default();
        let mut line = 0;
        for statement in text.lines() {
            line += 1;
            let words = split(statement).map_err(|problem| ScriptError { line, problem })?;
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            script.apply(&words).map_err(|problem| ScriptError { line, problem })?;
        }
        script.check().map_err(|problem| ScriptError { line, problem })?;
        Ok(script)
    }
}

impl Script {
    fn apply(&mut self, words: &[&str]) -> Result<(), String> {
        match *words {
            [] => {}
            ["driver", version] => self.driver = version.into(),
            ["clock", "real"] => self.clock = ClockChoice::Real,
            ["clock", "since", time] => self.clock = ClockChoice::Since(parse_time(time)?),
            ["clock", "file", path] => self.clock = ClockChoice::File(path.into()),
            ["board", index, ref details @ ..] if index == self.boards.len().to_string() => {
                self.boards.push(named_board(details)?);
            }
            ["board", index, ..] => {
                return Err(format!("board {index} is not the next one: {}", self.boards.len()));
            }
            [keyword, index, ref arguments @ ..] => {
                let board = index.parse().ok().and_then(|index: usize| self.boards.get_mut(index));
                let board =
                    board.ok_or_else(|| format!("`{index}` is not the number of a board above this line"))?;
                board.apply(keyword, arguments)?;
            }
            [keyword] => return Err(format!("`{keyword}` is not a statement")),
        }
        Ok(())
    }

    /// What can only be seen when all lines are read.
    fn check(&self) -> Result<(), String> {
        for (index, board) in self.boards.iter().enumerate() {
            let Board { trace, pci, uuid, .. } = board;
            let steady = trace.steps.is_sorted_by(|one, next| one.0 < next.0);
            let first = trace.steps.first().map(|(at, _)| *at);
            let last = trace.steps.last().map(|(at, _)| *at);
            let address = PciAddress::parse(pci)
                .ok_or_else(|| format!("`{pci}` of board {index} is not a PCI address"))?;
            let others = &self.boards[..index];
            if first.is_some_and(|at| !at.is_zero()) || !steady {
                return Err(format!("the power of board {index} does not begin at 0s and go forward"));
            }
            if trace.repeat.is_some() && trace.repeat <= last {
                return Err(format!(
                    "the power of board {index} has a step that its repetition never reaches"
                ));
            }
            if !board.slices.is_empty() && board.mig != Some(true) {
                return Err(format!("board {index} has slices and its MIG mode is not on"));
            }
            if first.is_none()
                && (trace.repeat.is_some()
                    || board.counter_tick.is_some()
                    || board.average.is_some()
                    || board.instant)
            {
                return Err(format!(
                    "board {index} has no line `power {index} 0s …`, which its other lines need"
                ));
            }
            if others
                .iter()
                .any(|other| other.uuid == *uuid || PciAddress::parse(&other.pci) == Some(address))
            {
                return Err(format!("board {index} has the UUID or the PCI address of another board"));
            }
        }
        Ok(())
    }
}

fn named_board(details: &[&str]) -> Result<Board, String> {
    let (uuid, pci, name, limit) = match *details {
        ["uuid", uuid, "pci", pci, "name", name] => (uuid, pci, name, None),
        ["uuid", uuid, "pci", pci, "name", name, "limit", limit] => {
            (uuid, pci, name, Some(parse_power(limit)?))
        }
        _ => return Err("write: board N uuid UUID pci ADDRESS name \"NAME\" [limit POWER]".into()),
    };
    Ok(Board { limit, ..Board::new(uuid, pci, name) })
}

impl Board {
    fn apply(&mut self, keyword: &str, arguments: &[&str]) -> Result<(), String> {
        match (keyword, arguments) {
            ("power", [at, power]) => self.trace.steps.push((parse_time(at)?, parse_power(power)?)),
            ("repeat", [period]) => self.trace.repeat = Some(parse_time(period)?),
            ("counter", ["tick", tick]) => self.counter_tick = Some(parse_time(tick)?),
            ("counter", ["tick", tick, "start", energy]) => {
                self.counter_tick = Some(parse_time(tick)?);
                self.counter_start = parse_energy(energy)?;
            }
            ("nocounter", []) => (self.counter_tick, self.counter_start) = (None, 0),
            ("average", [window]) => self.average = Some(parse_time(window)?),
            ("instant", [answer @ ("yes" | "no")]) => self.instant = *answer == "yes",
            ("reset", [at]) => self.resets.push(parse_time(at)?),
            ("lost", [at]) => self.lost = Some(parse_time(at)?),
            ("slow", [each_query]) => self.slow = parse_time(each_query)?,
            ("slowcounter", [each_reading]) => self.slow_counter = parse_time(each_reading)?,
            ("nomemory", []) => self.no_memory = true,
            ("mig", [mode @ ("on" | "off")]) => self.mig = Some(*mode == "on"),
            ("slice", [uuid, parts, ids @ ..]) => {
                let parts = parts.parse().ok().filter(|parts| (1..=SLICES_OF_A_BOARD).contains(parts));
                let parts =
                    parts.ok_or(format!("a slice has 1 to {SLICES_OF_A_BOARD} parts of its board"))?;
                let processes = ids.iter().map(|id| process(id)).collect::<Result<_, _>>()?;
                self.slices.push(Slice { uuid: (*uuid).to_owned(), parts, processes });
            }
            ("process", [id]) => self.processes.push(process(id)?),
            _ => return Err(format!("`{keyword} N {}` is not a statement", arguments.join(" "))),
        }
        Ok(())
    }

    /// The lines that [`apply`](Self::apply) reads back, without the number of the board.
    fn statements(&self) -> Vec<(&'static str, String)> {
        let mut lines = Vec::new();
        lines.extend(
            self.trace
                .steps
                .iter()
                .map(|(at, power)| ("power", format!("{} {}", show_time(*at), show_power(*power)))),
        );
        lines.extend(self.trace.repeat.map(|period| ("repeat", show_time(period))));
        lines.extend(self.counter_tick.map(|tick| {
            ("counter", format!("tick {} start {}", show_time(tick), show_energy(self.counter_start)))
        }));
        lines.extend(self.average.map(|window| ("average", show_time(window))));
        lines.extend(self.instant.then(|| ("instant", "yes".into())));
        lines.extend(self.resets.iter().map(|at| ("reset", show_time(*at))));
        lines.extend(self.lost.map(|at| ("lost", show_time(at))));
        lines.extend((!self.slow.is_zero()).then(|| ("slow", show_time(self.slow))));
        lines.extend((!self.slow_counter.is_zero()).then(|| ("slowcounter", show_time(self.slow_counter))));
        lines.extend(self.no_memory.then(|| ("nomemory", String::new())));
        lines.extend(self.mig.map(|on| ("mig", if on { "on".into() } else { "off".into() })));
        lines.extend(self.slices.iter().map(|Slice { uuid, parts, processes }| {
            let ids: String = processes.iter().map(|id| format!(" {id}")).collect();
            ("slice", format!("\"{uuid}\" {parts}{ids}"))
        }));
        lines.extend(self.processes.iter().map(|id| ("process", id.to_string())));
        lines
    }
}

fn process(id: &str) -> Result<u32, String> {
    id.parse().map_err(|_| format!("`{id}` is not the id of a process"))
}

impl fmt::Display for Script {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "driver \"{}\"", self.driver)?;
        match &self.clock {
            ClockChoice::Real => writeln!(formatter, "clock real")?,
            ClockChoice::Since(zero) => writeln!(formatter, "clock since {}", show_time(*zero))?,
            ClockChoice::File(path) => writeln!(formatter, "clock file \"{}\"", path.display())?,
        }
        for (index, board) in self.boards.iter().enumerate() {
            let Board { uuid, pci, name, .. } = board;
            write!(formatter, "board {index} uuid \"{uuid}\" pci \"{pci}\" name \"{name}\"")?;
            match board.limit {
                Some(limit) => writeln!(formatter, " limit {}", show_power(limit))?,
                None => writeln!(formatter)?,
            }
            for (keyword, arguments) in board.statements() {
                writeln!(formatter, "{keyword} {index} {arguments}")?;
            }
        }
        Ok(())
    }
}

/// The words of a line: separated by white space, in quotes where they hold some; a `#` between words ends the line.
fn split(line: &str) -> Result<Vec<String>, String> {
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

    const BOARD: &str = "board 0 uuid GPU-a pci 0000:07:00.0 name \"NVIDIA H200\" limit 700W\n";

    #[test]
    fn every_statement_survives_being_written() {
        let s = Duration::from_secs;
        let full = Board::new("GPU-a", "0000:07:00.0", "NVIDIA H200")
            .limit(700)
            .power(s(0), 100)
            .power(s(1), 400)
            .repeat(s(2));
        let full =
            full.counter(s(3)).counter_start(5000).average(s(4)).instant().reset(s(5)).reset(s(6)).lost(s(7));
        let full =
            full.slow(s(8)).slow_counter(s(9)).no_memory().slice("MIG-a", 3, &[9, 10]).slice("MIG-b", 1, &[]);
        let full = full.process(11).process(12);
        let bare = Board::new("GPU-b", "0000:08:00.0", "Bare");
        let script = Script {
            clock: ClockChoice::Since(Duration::from_nanos(1)),
            ..Script::new().driver("535.1").board(full).board(bare)
        };
        assert_eq!(script.to_string().parse(), Ok(script.clone()));
        assert_eq!(script.to_string().lines().count(), 2 + 18 + 1);
        let script = Script { clock: ClockChoice::File("a folder/clock".into()), ..script };
        assert_eq!(script.to_string().parse(), Ok(script));
    }

    #[test]
    fn a_hand_written_script_is_read() {
        let text = format!(
            "# two phases\n\n{BOARD}  power 0 0s 100W # idle\npower 0 0.7s 400W\nmig 0 off\ninstant 0 no\nnocounter 0\n"
        );
        let board = Board::new("GPU-a", "0000:07:00.0", "NVIDIA H200").limit(700).mig(false);
        let board = board.power(Duration::ZERO, 100).power(Duration::from_millis(700), 400);
        assert_eq!(text.parse(), Ok(Script::new().board(board)));
    }

    #[test]
    fn a_mistake_is_told_with_its_line() {
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
            let error = format!("{BOARD}{lines}\n").parse::<Script>().unwrap_err();
            assert_eq!(error.to_string(), expected);
        }
    }

    #[test]
    fn what_cannot_be_said_is_not_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("script.nvml");
        let named = |name: &str| Script::new().board(Board::new("GPU-a", "07:00.0", name));
        let unsteady = Board::new("GPU-a", "07:00.0", "A").power(Duration::from_secs(1), 1);
        for script in [named("a \"b\" c"), named("a\nslow 0 1s"), Script::new().board(unsteady)] {
            assert_eq!(script.write(&path).unwrap_err().kind(), std::io::ErrorKind::InvalidInput);
            assert!(!path.exists());
        }
    }
}
