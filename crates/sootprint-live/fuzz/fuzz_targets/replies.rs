//! Serves any bytes as the response of a provider, on the loopback interface.
#![no_main]

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::sync::{LazyLock, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use jiff::Timestamp;
use sootprint::{IntensityProvider as _, Place};
use sootprint_live::{ElectricityMaps, UkCarbonIntensity};

use libfuzzer_sys::fuzz_target;

/// The response to the next request.
static RESPONSE: Mutex<Vec<u8>> = Mutex::new(Vec::new());

static SERVER: LazyLock<SocketAddr> = LazyLock::new(|| {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bind a port");
    let address = listener.local_addr().expect("local address");
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let mut stream = stream;
            // The client may close the connection early.
            let _ = stream.set_read_timeout(Some(Duration::from_secs(1)));
            let _ = stream.read(&mut [0; 4_096]);
            let response = RESPONSE.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let _ = stream.write_all(&response);
        }
    });
    address
});

fuzz_target!(|response: &[u8]| {
    let url = format!("http://{}", *SERVER);
    *RESPONSE.lock().unwrap_or_else(PoisonError::into_inner) = response.to_vec();
    let britain: Place = "GB".parse().expect("valid country");
    let (from, to): (Timestamp, Timestamp) =
        ("2024-10-28T13:10:00Z".parse().expect("valid time"), "2024-10-28T14:40:00Z".parse().expect("valid time"));
    let uk = UkCarbonIntensity::new().endpoint(&url);
    let maps = ElectricityMaps::new("token").endpoint(&url);
    let results = [uk.intensity_between(britain, from, to), maps.intensity_between(britain, from, to)];
    for series in results.into_iter().flatten() {
        for period in series.periods() {
            assert!(period.start < period.end, "{period:?}");
            assert!((0.0..=3_000.0).contains(&period.intensity.grams_per_kilowatt_hour()), "{period:?}");
        }
    }
});
