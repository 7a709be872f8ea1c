//! Any bytes as the answer of a provider, from a server on the loopback.
#![no_main]

use std::thread;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use sootprint::{Place, Provider};
use sootprint_live::{ElectricityMaps, UkCarbonIntensity};

use libfuzzer_sys::fuzz_target;

/// What the server says to whoever comes.
static REPLY: Mutex<Vec<u8>> = Mutex::new(Vec::new());

static SERVER: LazyLock<SocketAddr> = LazyLock::new(|| {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let mut stream = stream;
            // Who is hung up on has had enough.
            let _ = stream.set_read_timeout(Some(Duration::from_secs(1)));
            let _ = stream.read(&mut [0; 4_096]);
            let reply = REPLY.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let _ = stream.write_all(&reply);
        }
    });
    address
});

fuzz_target!(|reply: &[u8]| {
    let url = format!("http://{}", *SERVER);
    *REPLY.lock().unwrap_or_else(PoisonError::into_inner) = reply.to_vec();
    let britain: Place = "GB".parse().expect("a country");
    let (from, to): (Timestamp, Timestamp) =
        ("2024-10-28T13:10:00Z".parse().expect("a time"), "2024-10-28T14:40:00Z".parse().expect("a time"));
    let uk = UkCarbonIntensity::new().endpoint(&url);
    let maps = ElectricityMaps::new("token").endpoint(&url);
    for series in [uk.hours(britain, from, to), maps.hours(britain, from, to)].into_iter().flatten() {
        for period in series.periods() {
            assert!(period.start < period.end, "{period:?}");
            assert!((0.0..=3_000.0).contains(&period.intensity.grams_per_kilowatt_hour()), "{period:?}");
        }
    }
});
