//! Ledgers that are written, torn, damaged and read back.

use std::path::Path;
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};
use std::{fs, io};

use jiff::Timestamp;
use sootprint_core::{GridIntensity, Pue, RunStatus};

use super::heartbeat;
use super::read::LedgerCondition;
use super::store::LedgerStore;
use super::*;
use crate::distributed::RankInfo;

const TIMEOUT: Duration = Duration::from_secs(10);

/// The contents of a ledger.
#[derive(Debug)]
pub(crate) struct LedgerContents {
    header: Box<RunHeader>,
    /// All intact lines after the header, followed by the heartbeat if the ledger has no last line.
    pub(crate) entries: Vec<LedgerEntry>,
    corruption: Option<LedgerCorruption>,
    unknown_entries: usize,
    is_open: bool,
}

pub(crate) fn read_ledger(dir: &Path, id: &LedgerId) -> Result<LedgerContents, LedgerError> {
    let mut entries = Vec::new();
    let LedgerCondition { corruption, unknown_entries, is_open } =
        read_entries(dir, id, |entry| entries.push(entry))?;
    let LedgerEntry::Header(header) = entries.remove(0) else { panic!("the first entry is the header") };
    Ok(LedgerContents { header, entries, corruption, unknown_entries, is_open })
}

fn header_entry(run: &str, schema: &str) -> LedgerEntry {
    LedgerEntry::Header(Box::new(test_header(run, schema)))
}

fn test_header(run: &str, schema: &str) -> RunHeader {
    RunHeader {
        schema: schema.to_owned(),
        version: "0.0.0".into(),
        run: run.to_owned(),
        training_type: None,
        base_model: None,
        started: "2026-11-23T00:00:00Z".into(),
        grid: GridIntensity::world_average(2026),
        pue: Pue::ASSUMED,
        components: vec![],
        gaps: vec![],
        pending_drivers: Vec::new(),
        task: ProcessInfo::default(),
    }
}

fn note_entry(text: &str) -> LedgerEntry {
    LedgerEntry::Note { at: 0.1, text: text.into() }
}

fn heartbeat_entry(at: f64) -> LedgerEntry {
    LedgerEntry::Heartbeat { at, totals: vec![], epoch: None }
}

fn single_process_ledger(dir: &Path) -> OpenLedger {
    create_ledger(dir, Timestamp::UNIX_EPOCH, &RankInfo::default(), &test_header("", SCHEMA)).unwrap()
}

/// Writes a ledger of a header and three more lines; returns its id, those entries and its bytes.
fn write_ledger(dir: &Path) -> (LedgerId, Vec<LedgerEntry>, Vec<u8>) {
    let OpenLedger { ledger, id } = single_process_ledger(dir);
    let entries = vec![
        header_entry(&id.run, SCHEMA),
        note_entry("a note with \"quotes\" and a\nnew line"),
        LedgerEntry::End { at: 1.5, outcome: RunStatus::Completed, totals: vec![] },
    ];
    entries.iter().for_each(|entry| ledger.append(entry));
    assert_eq!(ledger.close(TIMEOUT).0, WriteLoss::default());
    let bytes = fs::read(id.ledger_path(dir)).unwrap();
    (id, entries, bytes)
}

#[test]
fn written_entries_are_read_back() {
    let dir = tempfile::tempdir().unwrap();
    let (id, entries, bytes) = write_ledger(dir.path());
    let contents = read_ledger(dir.path(), &id).unwrap();
    assert_eq!((contents.entries, contents.corruption), (entries, None));
    assert_eq!(contents.header.run, id.run);
    assert_eq!(bytes.iter().filter(|byte| **byte == b'\n').count(), 4, "one line for each entry");
}

#[test]
fn truncated_tail_keeps_earlier_entries() {
    let dir = tempfile::tempdir().unwrap();
    let (id, entries, bytes) = write_ledger(dir.path());
    let ends: Vec<usize> =
        (0..bytes.len()).filter(|index| bytes[*index] == b'\n').map(|index| index + 1).collect();
    for cut in 0..bytes.len() {
        fs::write(id.ledger_path(dir.path()), &bytes[..cut]).unwrap();
        let whole = ends.iter().filter(|end| **end <= cut).count();
        match read_ledger(dir.path(), &id) {
            Ok(contents) => {
                assert_eq!(contents.entries, entries[..whole - 1]);
                let torn = LedgerCorruption { first: whole + 1, lines: 1, is_tail: true };
                assert_eq!(contents.corruption, (!ends.contains(&cut)).then_some(torn));
            }
            Err(error) => assert!(whole == 0 && matches!(error, LedgerError::MissingHeader { .. })),
        }
    }
}

#[test]
fn corrupt_line_keeps_other_lines() {
    let dir = tempfile::tempdir().unwrap();
    let (id, entries, mut bytes) = write_ledger(dir.path());
    let second = bytes.iter().position(|byte| *byte == b'\n').unwrap() + 30;
    bytes[second] ^= 1;
    fs::write(id.ledger_path(dir.path()), &bytes).unwrap();
    let contents = read_ledger(dir.path(), &id).unwrap();
    assert_eq!(contents.entries, entries[1..]);
    assert_eq!(contents.corruption, Some(LedgerCorruption { first: 2, lines: 1, is_tail: false }));
}

#[test]
fn torn_heartbeat_slot_keeps_other_slot() {
    let dir = tempfile::tempdir().unwrap();
    let OpenLedger { ledger, id } = single_process_ledger(dir.path());
    for at in [1.0, 2.0, 3.0] {
        ledger.write_heartbeat(&heartbeat_entry(at));
        // A heartbeat that is not written yet would be replaced by the next.
        let deadline = Instant::now() + TIMEOUT;
        while heartbeat::read_newest(&id.heartbeat_path(dir.path())) != Some(heartbeat_entry(at)) {
            assert!(Instant::now() < deadline, "no heartbeat at {at}");
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    let path = id.heartbeat_path(dir.path());
    let bytes = fs::read(&path).unwrap();
    let slot = heartbeat::slot_size(1);
    assert!(bytes.len() > slot && bytes.len() < 2 * slot, "{} bytes", bytes.len());
    let line = bytes.iter().position(|byte| *byte == b'\n').unwrap();
    for cut in 0..bytes.len() {
        fs::write(&path, &bytes[..cut]).unwrap();
        let newest = heartbeat::read_newest(&path);
        assert_eq!(newest, (cut > line).then(|| heartbeat_entry(3.0)), "cut at {cut}");
        // A torn write: the slot starts with new bytes and ends with those of an older heartbeat.
        if cut < line {
            let mut torn = bytes.clone();
            torn[cut..=line].fill(b'x');
            fs::write(&path, &torn).unwrap();
            assert_eq!(heartbeat::read_newest(&path), Some(heartbeat_entry(2.0)), "torn at {cut}");
        }
    }
    fs::write(&path, &bytes).unwrap();
    assert_eq!(read_ledger(dir.path(), &id).unwrap().entries, [heartbeat_entry(3.0)]);
    assert_eq!(ledger.close(TIMEOUT).0, WriteLoss::default());
    assert!(!path.exists(), "redundant after the last line");
}

/// A file of that size without a line would be searched for hours if each page were searched to its end.
#[test]
fn heartbeat_without_a_line_is_ignored() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.beat");
    fs::write(&path, vec![0_u8; 4 << 20]).unwrap();
    assert_eq!(heartbeat::read_newest(&path), None);
    fs::File::options().write(true).open(&path).unwrap().set_len(1 << 40).unwrap();
    assert_eq!(heartbeat::read_newest(&path), None);
}

#[test]
fn newer_schema_is_rejected() {
    let dir = tempfile::tempdir().unwrap();
    let later = test_header("", "sootprint-ledger/3");
    let OpenLedger { ledger, id } =
        create_ledger(dir.path(), Timestamp::UNIX_EPOCH, &RankInfo::default(), &later).unwrap();
    ledger.close(TIMEOUT);
    let error = read_ledger(dir.path(), &id).unwrap_err().to_string();
    assert!(error.contains("sootprint-ledger/3") && error.contains(&id.run), "{error}");
}

#[test]
fn entry_of_unknown_kind_is_skipped() {
    let dir = tempfile::tempdir().unwrap();
    let (id, entries, bytes) = write_ledger(dir.path());
    let unknown = r#"{"entry":"of-a-newer-version","at":1.0,"figures":[1,2]}"#;
    let line = format!("{{\"crc\":{},\"line\":{unknown}}}\n", crc32fast::hash(unknown.as_bytes()));
    let end = bytes.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    let bytes = [&bytes[..end], line.as_bytes(), &bytes[end..]].concat();
    fs::write(id.ledger_path(dir.path()), bytes).unwrap();
    let contents = read_ledger(dir.path(), &id).unwrap();
    assert_eq!((contents.entries, contents.corruption, contents.unknown_entries), (entries, None, 1));
}

#[test]
fn impossible_rank_count_is_rejected() {
    let dir = tempfile::tempdir().unwrap();
    let mut header = test_header("", SCHEMA);
    header.task.ranks = 4_000_000_000;
    let OpenLedger { ledger, id } =
        create_ledger(dir.path(), Timestamp::UNIX_EPOCH, &RankInfo::default(), &header).unwrap();
    ledger.close(TIMEOUT);
    let error = read_ledger(dir.path(), &id).unwrap_err();
    assert!(error.to_string().contains("4000000000 ranks"), "{error}");
    assert!(!error.without_path().contains(&dir.path().display().to_string()));
}

#[test]
fn impossible_value_is_refused_by_name() {
    use sootprint_core::{ComponentKind, Energy};
    use sootprint_power::ComponentTotal;

    let energy =
        |joules: f64| LedgerEntry::Energy { at: 0.2, energy: vec![Some(Energy::from_joules(joules))] };
    let epoch = |start: f64, end: f64| LedgerEntry::Epoch {
        epoch: 1,
        start,
        end,
        energy: vec![],
        completed: true,
        counts: WorkCounts::default(),
        phases: vec![],
    };
    let header = |change: fn(&mut RunHeader)| {
        let mut header = test_header("", SCHEMA);
        header.components = vec![
            serde_json::from_value(serde_json::json!({
                "kind": "cpu", "id": "cpu", "name": "a processor", "method": "modelled", "share": 1.0
            }))
            .unwrap(),
        ];
        change(&mut header);
        LedgerEntry::Header(Box::new(header))
    };
    let totals = vec![ComponentTotal { measured: -2.0, ..ComponentTotal::default() }];
    for (entry, reason) in [
        (energy(-5.0), "an energy of -5 is not between 0 and 1e18"),
        (energy(1e300), "is not between 0 and 1e18"),
        (LedgerEntry::Note { at: -0.5, text: String::new() }, "`at` of -0.5 s"),
        (LedgerEntry::Totals { at: 0.2, totals }, "`m` of -2 s"),
        (epoch(2.0, 1.0), "`end` of 1 s is before `start` of 2 s"),
        (epoch(0.0, 1e12), "`end` of 1000000000000 s"),
        // Such a component would be left out because of itself.
        (
            header(|it| it.components[0].includes.push(ComponentKind::Cpu)),
            "`includes` of a component of kind CPU",
        ),
        (header(|it| it.components[0].share = 2.0), "`share` of 2"),
        (header(|it| it.task.ranks = u32::MAX), "4294967295 ranks"),
        (header(|it| it.task.rank = 65_536), "rank 65536 is not below 65536"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let OpenLedger { ledger, id } = single_process_ledger(dir.path());
        ledger.append(&entry);
        assert_eq!(ledger.close(TIMEOUT).0, WriteLoss::default());
        let error = read_ledger(dir.path(), &id).unwrap_err();
        let text = error.to_string();
        assert!(matches!(error, LedgerError::InvalidValue { line: 2, .. }), "{error:?}");
        assert!(text.contains(reason), "{text}");
    }
}

#[test]
fn entries_that_contradict_earlier_ones_are_refused() {
    use sootprint_core::Energy;

    let at = |at: f64| LedgerEntry::Energy { at, energy: vec![Some(Energy::ZERO)] };
    let devices = || LedgerEntry::Devices {
        at: 0.0,
        components: vec![],
        unresolved: vec!["cuda:0".to_owned(); 2_100],
        found: vec![],
    };
    for (first, second, reason) in [
        (at(2.0), at(1.5), "`at` of 1.5 s is before that of an earlier entry, 2 s"),
        (devices(), devices(), "4200 `devices`, at most 4096 are possible"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let OpenLedger { ledger, id } = single_process_ledger(dir.path());
        [first, second].iter().for_each(|entry| ledger.append(entry));
        assert_eq!(ledger.close(TIMEOUT).0, WriteLoss::default());
        let error = read_ledger(dir.path(), &id).unwrap_err();
        assert!(matches!(error, LedgerError::InvalidValue { line: 3, .. }), "{error:?}");
        assert!(error.to_string().contains(reason), "{error}");
    }
}

#[test]
fn stray_files_do_not_hide_runs() {
    let dir = tempfile::tempdir().unwrap();
    let (id, ..) = write_ledger(dir.path());
    let ledgers = dir.path().join("sootprint");
    fs::write(ledgers.join("4294967295-x.jsonl"), "no ledger").unwrap();
    fs::write(ledgers.join(format!("{}.a4294967295.jsonl", id.run)), "no ledger").unwrap();
    fs::create_dir(ledgers.join("9-folder.jsonl")).unwrap();
    #[cfg(unix)]
    assert!(
        std::process::Command::new("mkfifo").arg(ledgers.join("9-fifo.jsonl")).status().unwrap().success()
    );
    #[cfg(unix)]
    std::os::unix::fs::symlink("9-fifo.jsonl", ledgers.join("9-link.jsonl")).unwrap();
    assert_eq!(list_ledgers(dir.path()).unwrap(), [id]);
}

#[test]
fn runs_are_listed_newest_first() {
    let dir = tempfile::tempdir().unwrap();
    let at = |second| {
        let now = Timestamp::from_second(second).unwrap();
        create_ledger(dir.path(), now, &RankInfo::default(), &test_header("", SCHEMA))
    };
    let older = at(2_000).unwrap();
    older.ledger.close(TIMEOUT);
    // The order does not depend on the clock, which was set back here.
    let OpenLedger { ledger, id } = at(1_000).unwrap();
    assert_eq!(list_runs(dir.path()).unwrap(), [id.run.clone(), older.id.run]);
    let busy = at(3_000).unwrap_err();
    assert!(matches!(&busy, LedgerError::Busy { run, .. } if *run == id.run), "{busy}");
    assert!(read_ledger(dir.path(), &id).unwrap().is_open);
    ledger.close(TIMEOUT);
    assert!(!read_ledger(dir.path(), &id).unwrap().is_open);
    assert!(at(3_000).is_ok());
}

#[test]
fn uncreatable_dir_is_named_in_error() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let error =
        create_ledger(file.path(), Timestamp::UNIX_EPOCH, &RankInfo::default(), &test_header("", SCHEMA))
            .unwrap_err();
    assert!(error.to_string().contains(file.path().to_str().unwrap()), "{error}");
}

#[test]
fn removed_dir_is_counted_as_loss() {
    let dir = tempfile::tempdir().unwrap();
    let OpenLedger { ledger, .. } = single_process_ledger(dir.path());
    fs::remove_dir_all(dir.path()).unwrap();
    ledger.append(&note_entry("lost"));
    ledger.append(&note_entry("lost as well"));
    let (loss, _) = ledger.close(TIMEOUT);
    assert_eq!(loss.lines, 2);
    assert!(loss.reason.unwrap().contains("No such file"));
}

/// A disk with scripted faults.
#[derive(Default)]
struct FaultyStore {
    /// The bytes written.
    disk: std::sync::Arc<std::sync::Mutex<Vec<u8>>>,
    /// How many bytes each of the next writes may store; later writes are unlimited.
    capacities: Vec<usize>,
    /// If set, each write blocks until a message arrives or the sender is dropped.
    release_rx: Option<Receiver<()>>,
    /// Receives a message for each synchronisation.
    sync_tx: Option<mpsc::Sender<()>>,
    /// Receives a message when the heartbeat is removed.
    end_tx: Option<mpsc::Sender<()>>,
}

impl LedgerStore for FaultyStore {
    fn append(&mut self, text: &[u8]) -> io::Result<()> {
        if let Some(release_rx) = &self.release_rx {
            let _ = release_rx.recv();
        }
        let capacity = if self.capacities.is_empty() { usize::MAX } else { self.capacities.remove(0) };
        let mut disk = self.disk.lock().unwrap();
        disk.extend(text.iter().take(capacity));
        if capacity < text.len() { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }

    fn write_heartbeat(&mut self, _: u64, _: &[u8]) -> io::Result<()> {
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_tx.as_ref().map_or(Ok(()), |synced| synced.send(()).map_err(io::Error::other))
    }

    fn resume(&mut self) -> Result<Option<LedgerId>, LedgerError> {
        Ok(None)
    }

    fn remove_heartbeat(&mut self) {
        self.end_tx.iter().for_each(|ended| ended.send(()).unwrap());
    }
}

#[test]
fn heartbeat_is_kept_after_lost_lines() {
    for (capacities, is_kept) in [(vec![], false), (vec![usize::MAX, 0], true)] {
        let (end_tx, end_rx) = mpsc::channel();
        let ledger =
            Ledger::start(FaultyStore { capacities, end_tx: Some(end_tx), ..FaultyStore::default() })
                .unwrap();
        ledger.append(&note_entry("written"));
        ledger.append(&note_entry("lost if the disk is full"));
        ledger.close(TIMEOUT);
        assert_eq!(end_rx.try_recv().is_err(), is_kept);
    }
}

#[test]
fn full_disk_loses_only_its_lines() {
    let dir = tempfile::tempdir().unwrap();
    let id = LedgerId { run: "00001-full".into(), attempt: 1, rank: 0 };
    let text = std::sync::Arc::default();
    let disk = FaultyStore {
        disk: std::sync::Arc::clone(&text),
        capacities: vec![usize::MAX, 20, 0],
        ..FaultyStore::default()
    };
    let ledger = Ledger::start(disk).unwrap();
    let (first, last) = (header_entry(&id.run, SCHEMA), note_entry("space again"));
    for entry in [&first, &note_entry("torn"), &note_entry("lost"), &last] {
        ledger.append(entry);
    }
    let (loss, _) = ledger.close(TIMEOUT);
    assert_eq!(loss.lines, 2, "{loss:?}");
    assert!(loss.reason.unwrap().contains("storage"));
    fs::create_dir_all(id.ledger_path(dir.path()).parent().unwrap()).unwrap();
    fs::write(id.ledger_path(dir.path()), text.lock().unwrap().as_slice()).unwrap();
    let contents = read_ledger(dir.path(), &id).unwrap();
    assert_eq!(contents.entries, [last]);
    assert_eq!(contents.corruption, Some(LedgerCorruption { first: 2, lines: 1, is_tail: false }));
}

#[test]
fn hung_disk_does_not_block_appends() {
    let (release_tx, release_rx) = mpsc::channel();
    let disk = FaultyStore { release_rx: Some(release_rx), ..FaultyStore::default() };
    let ledger = Ledger::start(disk).unwrap();
    let began = Instant::now();
    for number in 0..1_000 {
        ledger.append(&note_entry("wait"));
        ledger.write_heartbeat(&heartbeat_entry(f64::from(number)));
    }
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    drop(release_tx);
    let (loss, _) = ledger.close(TIMEOUT);
    assert!((400..=600).contains(&loss.lines), "queued lines are written: {loss:?}");
    assert_eq!(loss.reason.as_deref(), Some("disk too slow: write queue full"));
}

#[test]
fn short_epochs_share_disk_syncs() {
    let (sync_tx, sync_rx) = mpsc::channel();
    let began = Instant::now();
    let ledger = Ledger::start(FaultyStore { sync_tx: Some(sync_tx), ..FaultyStore::default() }).unwrap();
    for _ in 0..200 {
        ledger.append(&note_entry("an epoch"));
        ledger.sync();
    }
    // No further command arrives, and the ledger is synchronised nevertheless.
    sync_rx.recv_timeout(TIMEOUT).unwrap();
    assert_eq!(ledger.close(TIMEOUT).0, WriteLoss::default());
    let syncs = 1 + sync_rx.try_iter().count() as u64;
    assert!((2..=2 + began.elapsed().as_secs()).contains(&syncs), "{syncs} in {:?}", began.elapsed());
}
