use proptest::prelude::*;
use serde_json::json;
use sootprint_core::Energy;

use super::*;

/// The width, the height and the pixels of a PNG.
fn decode_png(png: &[u8]) -> (u32, u32, Vec<u8>) {
    let mut reader = png::Decoder::new(std::io::Cursor::new(png)).read_info().unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut pixels).unwrap();
    (info.width, info.height, pixels)
}

fn count_pixels(pixels: &[u8], color: RGBColor) -> usize {
    pixels.chunks(3).filter(|pixel| *pixel == [color.0, color.1, color.2]).count()
}

fn rendered_pixels(footprint: &Footprint) -> Vec<u8> {
    decode_png(&render_plot(footprint).unwrap().unwrap()).2
}

#[test]
fn run_with_epochs_renders_plot() {
    let png = render_plot(&with_epochs()).unwrap().unwrap();
    let (width, height, pixels) = decode_png(&png);
    assert_eq!((width, height), PLOT_SIZE);
    assert!((10_000..300_000).contains(&png.len()), "{} bytes", png.len());
    assert!(
        count_pixels(&pixels, canvas::MIXED_COLOR) > 1_000
            && count_pixels(&pixels, canvas::MEASURED_COLOR) > 5_000
            && count_pixels(&pixels, canvas::MODELLED_COLOR) > 500
    );
    // To view the plots: SOOTPRINT_TEST_PICTURES=/tmp cargo test -p sootprint-report --features plot
    if let Some(folder) = std::env::var_os("SOOTPRINT_TEST_PICTURES") {
        let folder = std::path::Path::new(&folder);
        std::fs::write(folder.join("few.png"), &png).unwrap();
        for (name, footprint) in [("many.png", footprint_with_many_gpus()), ("cpu.png", modelled_footprint())]
        {
            std::fs::write(folder.join(name), render_plot(&footprint).unwrap().unwrap()).unwrap();
        }
    }
}

#[test]
fn no_power_data_renders_no_plot() {
    assert_eq!(render_plot(&footprint()).unwrap(), None);
    let mut footprint = self::footprint();
    footprint.power = vec![(0.0, 100.0), (0.000_1, 100.0)];
    assert_eq!(render_plot(&footprint).unwrap(), None);
}

#[test]
fn plot_depends_only_on_footprint() {
    let footprint = with_epochs();
    let pixels = rendered_pixels(&footprint);
    assert_eq!(pixels, rendered_pixels(&footprint));
    let mut higher = footprint.clone();
    higher.power[50].1 = 3_000.0;
    let mut later = footprint.clone();
    later.epochs[1].start_s = Some(900.0);
    let mut modelled = footprint.clone();
    modelled.components[0].method = Some(MeasurementMethod::Modelled);
    for (what, other) in [("power", &higher), ("epoch", &later)] {
        assert_ne!(pixels, rendered_pixels(other), "{what}");
    }
    assert!(
        count_pixels(&rendered_pixels(&modelled), canvas::MODELLED_COLOR)
            > count_pixels(&pixels, canvas::MODELLED_COLOR)
    );
}

#[test]
fn many_gpus_share_bars() {
    let bars = EnergyBar::from_footprint(&footprint_with_many_gpus());
    let names: Vec<_> = bars.iter().map(|bar| bar.name.as_str()).collect();
    assert_eq!(names, ["16 x NVIDIA H200", "CPU (a processor)", "memory (64 GiB)"]);
    assert_eq!(bars[0].energy, Energy::from_joules(16.0 * 1_200_000.0));
    let few: Vec<_> = EnergyBar::from_footprint(&footprint()).into_iter().map(|bar| bar.name).collect();
    assert_eq!(few[..2], ["gpu0 (NVIDIA H200)", "gpu1 (NVIDIA H200)"]);
}

/// 16 GPUs for three days, 100 epochs.
fn footprint_with_many_gpus() -> Footprint {
    let mut footprint = with_epochs();
    let gpu = footprint.components[0].clone();
    footprint.components.splice(0..2, vec![gpu; 16]);
    footprint.hardware = "16 x NVIDIA H200".to_owned();
    let epoch = footprint.epochs[0].clone();
    footprint.epochs = vec![epoch; 100];
    for (index, epoch) in (0..100_u32).zip(&mut footprint.epochs) {
        epoch.epoch = index + 1;
        epoch.start_s = Some(f64::from(index) * 2_592.0);
    }
    footprint.power =
        (1..=400_u32).map(|step| (f64::from(step) * 648.0, 9_800.0 + 900.0 * f64::from(step % 7))).collect();
    footprint
}

/// A short run with modelled components and an unmeasured GPU.
fn modelled_footprint() -> Footprint {
    let mut footprint = with_epochs();
    footprint.components.remove(0);
    footprint.components[0].method = None;
    footprint.hardware = "1 x AMD EPYC".to_owned();
    footprint.energy.total = footprint.components[1].energy + footprint.components[2].energy;
    footprint.power = (1..=9_u32).map(|step| (f64::from(step) * 0.5, 11.0 + f64::from(step % 2))).collect();
    footprint.epochs.truncate(2);
    footprint.epochs[0].start_s = Some(0.0);
    footprint.epochs[1].start_s = Some(2.3);
    footprint
}

proptest! {
    // Each case renders a whole plot.
    #![proptest_config(ProptestConfig::with_cases(4))]

    #[test]
    fn arbitrary_power_data_never_panics(
        power in proptest::collection::vec((prop_oneof![0.0..1e3, 0.0..1e9], prop_oneof![0.0..1e3, -1e3..1e300]), 0..8),
        starts in proptest::collection::vec(prop_oneof![-1e3..1e3, 0.0..1e300], 3),
        energy in prop_oneof![Just(0.0), 0.0..1e18],
        name in any::<String>(),
    ) {
        let mut json = serde_json::to_value(with_epochs()).unwrap();
        json["power"] = json!(power);
        for (index, start) in starts.iter().enumerate() {
            json["epochs"][index]["start_s"] = json!(start);
        }
        json["components"][0]["energy_j"] = json!(energy);
        json["components"][0]["name"] = json!(name);
        json["hardware"] = json!(name);
        render_plot(&serde_json::from_value(json).unwrap()).unwrap();
    }
}

/// A pre-training on two GPUs in France: 0.7264694 kWh at the facility, 40.68229 g.
fn footprint() -> Footprint {
    modified_footprint(|_| ())
}

/// The same run with three epochs, the last one incomplete, and a power curve.
fn with_epochs() -> Footprint {
    modified_footprint(|footprint| {
        let epoch = |epoch: u32, start: f64, energy: f64| {
            json!({
                "epoch": epoch, "attempt": 1, "start_s": start, "duration_s": 580.0, "energy_j": energy,
                "grams": energy * 56.0 / 3.6e6, "completed": epoch < 3,
            })
        };
        footprint["epochs"] =
            json!([epoch(1, 20.0, 850_000.0), epoch(2, 610.0, 860_000.0), epoch(3, 1_200.0, 870_000.0)]);
        let watts =
            |second: u32| if second <= 20 { 300.0 } else { 1_440.0 + 60.0 * f64::from(second / 10 % 3) };
        footprint["power"] = (1..=180).map(|step| json!([step * 10, watts(step * 10)])).collect();
    })
}

fn modified_footprint(change: impl Fn(&mut serde_json::Value)) -> Footprint {
    let mut footprint: serde_json::Value =
        serde_json::from_str(include_str!("../../../sootprint-card/tests/footprint.json")).unwrap();
    change(&mut footprint);
    Footprint::from_json(&footprint.to_string()).unwrap()
}
