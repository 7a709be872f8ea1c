//! Ledgers that are written, torn, damaged and read again.

use std::path::Path;
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};
use std::{fs, io};

use jiff::Timestamp;
use sootprint_core::{Answer, Pue};

use super::store::Store;
use super::*;
use crate::launch::Launch;

const PATIENCE: Duration = Duration::from_secs(10);

fn opened(run: &str, schema: &str) -> Entry {
    Entry::Opened(Box::new(first(run, schema)))
}

fn first(run: &str, schema: &str) -> Opened {
    Opened {
        schema: schema.to_owned(),
        version: "0.0.0".into(),
        run: run.to_owned(),
        training_type: None,
        base_model: None,
        started: "2026-11-23T00:00:00Z".into(),
        grid: Answer::anywhere(2026),
        pue: Pue::ASSUMED,
        components: vec![],
        gaps: vec![],
        task: Task::default(),
    }
}

fn note(text: &str) -> Entry {
    Entry::Note { at: 0.1, text: text.into() }
}

fn beat(at: f64) -> Entry {
    Entry::Beat { at, totals: vec![], epoch: None }
}

fn alone(dir: &Path) -> Begun {
    begin(dir, Timestamp::UNIX_EPOCH, &Launch::default(), &first("", SCHEMA)).unwrap()
}

/// A ledger of three lines and the one that it begins with, and its bytes.
fn written(dir: &Path) -> (Name, Vec<Entry>, Vec<u8>) {
    let Begun { ledger, name } = alone(dir);
    let entries = vec![
        opened(&name.run, SCHEMA),
        note("a note with \"quotes\" and a\nnew line"),
        Entry::Closed { at: 1.5, outcome: Outcome::Completed, totals: vec![] },
    ];
    entries.iter().for_each(|entry| ledger.append(entry));
    assert_eq!(ledger.close(PATIENCE).0, Loss::default());
    let bytes = fs::read(name.ledger(dir)).unwrap();
    (name, entries, bytes)
}

#[test]
fn what_was_written_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let (name, entries, bytes) = written(dir.path());
    let recovered = read(dir.path(), &name).unwrap();
    assert_eq!((recovered.entries, recovered.damage), (entries, None));
    assert_eq!(recovered.opened.run, name.run);
    assert_eq!(bytes.iter().filter(|byte| **byte == b'\n').count(), 4, "one line for each entry");
}

#[test]
fn a_tail_cut_at_any_byte_never_hides_what_came_before() {
    let dir = tempfile::tempdir().unwrap();
    let (name, entries, bytes) = written(dir.path());
    let ends: Vec<usize> =
        (0..bytes.len()).filter(|index| bytes[*index] == b'\n').map(|index| index + 1).collect();
    for cut in 0..bytes.len() {
        fs::write(name.ledger(dir.path()), &bytes[..cut]).unwrap();
        let whole = ends.iter().filter(|end| **end <= cut).count();
        match read(dir.path(), &name) {
            Ok(recovered) => {
                assert_eq!(recovered.entries, entries[..whole - 1]);
                let torn = Damage { first: whole + 1, lines: 1, is_tail: true };
                assert_eq!(recovered.damage, (!ends.contains(&cut)).then_some(torn));
            }
            Err(error) => assert!(whole == 0 && matches!(error, LedgerError::NoBeginning { .. })),
        }
    }
}

#[test]
fn a_line_with_one_wrong_byte_hides_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let (name, entries, mut bytes) = written(dir.path());
    let second = bytes.iter().position(|byte| *byte == b'\n').unwrap() + 30;
    bytes[second] ^= 1;
    fs::write(name.ledger(dir.path()), &bytes).unwrap();
    let recovered = read(dir.path(), &name).unwrap();
    assert_eq!(recovered.entries, entries[1..]);
    assert_eq!(recovered.damage, Some(Damage { first: 2, lines: 1, is_tail: false }));
}

#[test]
fn either_slot_of_the_heartbeat_cut_at_any_byte_leaves_the_other() {
    let dir = tempfile::tempdir().unwrap();
    let Begun { ledger, name } = alone(dir.path());
    for at in [1.0, 2.0, 3.0] {
        ledger.beat(&beat(at));
        // An older one that is not written yet would be left out.
        let deadline = Instant::now() + PATIENCE;
        while heartbeat::read(&name.heartbeat(dir.path())) != Some(beat(at)) {
            assert!(Instant::now() < deadline, "no beat at {at}");
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    let path = name.heartbeat(dir.path());
    let bytes = fs::read(&path).unwrap();
    let slot = heartbeat::slot_size(1);
    assert!(bytes.len() > slot && bytes.len() < 2 * slot, "{} bytes", bytes.len());
    let line = bytes.iter().position(|byte| *byte == b'\n').unwrap();
    for cut in 0..bytes.len() {
        fs::write(&path, &bytes[..cut]).unwrap();
        let newest = heartbeat::read(&path);
        assert_eq!(newest, (cut > line).then(|| beat(3.0)), "cut at {cut}");
        // And the newest one torn: its slot begins anew, and ends with what stood there before.
        if cut < line {
            let mut torn = bytes.clone();
            torn[cut..=line].fill(b'x');
            fs::write(&path, &torn).unwrap();
            assert_eq!(heartbeat::read(&path), Some(beat(2.0)), "torn at {cut}");
        }
    }
    fs::write(&path, &bytes).unwrap();
    assert_eq!(read(dir.path(), &name).unwrap().entries, [beat(3.0)]);
    assert_eq!(ledger.close(PATIENCE).0, Loss::default());
    assert!(!path.exists(), "the ledger says it all");
}

#[test]
fn a_later_schema_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let later = first("", "sootprint-ledger/2");
    let Begun { ledger, name } =
        begin(dir.path(), Timestamp::UNIX_EPOCH, &Launch::default(), &later).unwrap();
    ledger.close(PATIENCE);
    let error = read(dir.path(), &name).unwrap_err().to_string();
    assert!(error.contains("sootprint-ledger/2") && error.contains(&name.run), "{error}");
}

#[test]
fn runs_are_listed_newest_first_and_an_open_one_is_known() {
    let dir = tempfile::tempdir().unwrap();
    let at = |second| {
        let now = Timestamp::from_second(second).unwrap();
        begin(dir.path(), now, &Launch::default(), &first("", SCHEMA))
    };
    let older = at(2_000).unwrap();
    older.ledger.close(PATIENCE);
    // A clock that was set back changes nothing.
    let Begun { ledger, name } = at(1_000).unwrap();
    assert_eq!(runs(dir.path()).unwrap(), [name.run.clone(), older.name.run]);
    let busy = at(3_000).unwrap_err();
    assert!(matches!(&busy, LedgerError::Busy { run, .. } if *run == name.run), "{busy}");
    assert!(read(dir.path(), &name).unwrap().is_open);
    ledger.close(PATIENCE);
    assert!(!read(dir.path(), &name).unwrap().is_open);
    assert!(at(3_000).is_ok());
}

#[test]
fn a_folder_that_cannot_be_made_is_named() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let error =
        begin(file.path(), Timestamp::UNIX_EPOCH, &Launch::default(), &first("", SCHEMA)).unwrap_err();
    assert!(error.to_string().contains(file.path().to_str().unwrap()), "{error}");
}

#[test]
fn a_folder_that_is_removed_is_a_loss_that_is_counted() {
    let dir = tempfile::tempdir().unwrap();
    let Begun { ledger, .. } = alone(dir.path());
    fs::remove_dir_all(dir.path()).unwrap();
    ledger.append(&note("lost"));
    ledger.append(&note("lost as well"));
    let (loss, _) = ledger.close(PATIENCE);
    assert_eq!(loss.lines, 2);
    assert!(loss.reason.unwrap().contains("No such file"));
}

/// A disk that does as it is told.
#[derive(Default)]
struct Faulty {
    /// What is on it.
    text: std::sync::Arc<std::sync::Mutex<Vec<u8>>>,
    /// How many bytes of the next writes it takes; then it takes all.
    room: Vec<usize>,
    /// It hangs until this says something, where there is one.
    hangs: Option<Receiver<()>>,
    /// Hears of each time that it is to keep all.
    synced: Option<mpsc::Sender<()>>,
    /// Hears when the heartbeat is not needed any more.
    ended: Option<mpsc::Sender<()>>,
}

impl Store for Faulty {
    fn append(&mut self, text: &[u8]) -> io::Result<()> {
        if let Some(hangs) = &self.hangs {
            let _ = hangs.recv();
        }
        let room = if self.room.is_empty() { usize::MAX } else { self.room.remove(0) };
        let mut disk = self.text.lock().unwrap();
        disk.extend(text.iter().take(room));
        if room < text.len() { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }

    fn beat(&mut self, _: u64, _: &[u8]) -> io::Result<()> {
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        self.synced.as_ref().map_or(Ok(()), |synced| synced.send(()).map_err(io::Error::other))
    }

    fn resume(&mut self) -> Result<Option<Name>, LedgerError> {
        Ok(None)
    }

    fn end(&mut self) {
        self.ended.iter().for_each(|ended| ended.send(()).unwrap());
    }
}

#[test]
fn the_heartbeat_stays_where_lines_are_lost_of_which_it_knows_the_sum() {
    for (room, stays) in [(vec![], false), (vec![usize::MAX, 0], true)] {
        let (tell, ended) = mpsc::channel();
        let ledger = Ledger::start(Faulty { room, ended: Some(tell), ..Faulty::default() }).unwrap();
        ledger.append(&note("written"));
        ledger.append(&note("lost, where there is no room"));
        ledger.close(PATIENCE);
        assert_eq!(ended.try_recv().is_err(), stays);
    }
}

#[test]
fn a_full_disk_costs_its_lines_and_none_after_them() {
    let dir = tempfile::tempdir().unwrap();
    let name = Name { run: "00001-full".into(), attempt: 1, rank: 0 };
    let text = std::sync::Arc::default();
    let disk =
        Faulty { text: std::sync::Arc::clone(&text), room: vec![usize::MAX, 20, 0], ..Faulty::default() };
    let ledger = Ledger::start(disk).unwrap();
    let (first, last) = (opened(&name.run, SCHEMA), note("there is room again"));
    for entry in [&first, &note("torn"), &note("lost"), &last] {
        ledger.append(entry);
    }
    let (loss, _) = ledger.close(PATIENCE);
    assert_eq!(loss.lines, 2, "{loss:?}");
    assert!(loss.reason.unwrap().contains("storage"));
    fs::create_dir_all(name.ledger(dir.path()).parent().unwrap()).unwrap();
    fs::write(name.ledger(dir.path()), text.lock().unwrap().as_slice()).unwrap();
    let recovered = read(dir.path(), &name).unwrap();
    assert_eq!(recovered.entries, [last]);
    assert_eq!(recovered.damage, Some(Damage { first: 2, lines: 1, is_tail: false }));
}

#[test]
fn a_disk_that_hangs_holds_nobody_up() {
    let (release, hangs) = mpsc::channel();
    let disk = Faulty { hangs: Some(hangs), ..Faulty::default() };
    let ledger = Ledger::start(disk).unwrap();
    let began = Instant::now();
    for number in 0..1_000 {
        ledger.append(&note("wait"));
        ledger.beat(&beat(f64::from(number)));
    }
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    drop(release);
    let (loss, _) = ledger.close(PATIENCE);
    assert!((400..=600).contains(&loss.lines), "those that found room are written: {loss:?}");
    assert_eq!(loss.reason.as_deref(), Some("the disk does not keep up"));
}

#[test]
fn a_disk_is_not_asked_to_keep_each_of_many_short_epochs() {
    let (tell, synced) = mpsc::channel();
    let began = Instant::now();
    let ledger = Ledger::start(Faulty { synced: Some(tell), ..Faulty::default() }).unwrap();
    for _ in 0..200 {
        ledger.append(&note("an epoch"));
        ledger.sync();
    }
    // Nobody asks again, and it does all the same.
    synced.recv_timeout(PATIENCE).unwrap();
    assert_eq!(ledger.close(PATIENCE).0, Loss::default());
    let syncs = 1 + synced.try_iter().count() as u64;
    assert!((2..=2 + began.elapsed().as_secs()).contains(&syncs), "{syncs} in {:?}", began.elapsed());
}
