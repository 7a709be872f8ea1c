//! Power and energy as read by `nvml-wrapper`, compared with values computed by hand.

use crate::fixture::{FakeNvmlFixture, NvmlTestResult, first_gpu, ms, open_library, two_phase_gpu};
use nvidia_ml::{NvmlScript, install};
use nvml_wrapper::enums::device::SampleValue;
use nvml_wrapper::error::NvmlError;
use nvml_wrapper::structs::device::FieldId;
use nvml_wrapper::sys_exports::field_id::{
    NVML_FI_DEV_POWER_AVERAGE, NVML_FI_DEV_POWER_INSTANT, NVML_FI_DEV_TOTAL_ENERGY_CONSUMPTION,
};
use std::time::{Instant, SystemTime};

#[test]
fn counter_is_exact_to_millijoule() -> NvmlTestResult {
    let machine = FakeNvmlFixture::with_gpus([two_phase_gpu().energy_counter(ms(0))])?;
    for millisecond in [0_u64, 1, 699, 700, 701, 1029, 1030, 1730, 12_345] {
        let (cycles, rest) = (millisecond / 1030, millisecond % 1030);
        let millijoules = cycles * 202_000 + rest.min(700) * 100 + rest.saturating_sub(700) * 400;
        assert_eq!(
            machine.first_gpu_at(millisecond)?.total_energy_consumption()?,
            millijoules,
            "{millisecond} ms"
        );
        let joules = machine.script.true_energy(0, ms(0), ms(millisecond));
        assert!((joules * 1000.0 - millijoules as f64).abs() < 1e-6, "{millisecond} ms: {joules} J");
    }
    Ok(())
}

#[test]
fn clock_advances_by_microseconds() -> NvmlTestResult {
    let machine = FakeNvmlFixture::with_gpus([first_gpu().power_from(ms(0), 400).energy_counter(ms(0))])?;
    let gpu = machine.first_gpu_at(10)?;
    machine.clock.advance(std::time::Duration::from_micros(2500))?;
    assert_eq!(gpu.total_energy_consumption()?, 5_000);
    Ok(())
}

#[test]
fn counter_updates_at_each_tick() -> NvmlTestResult {
    let machine =
        FakeNvmlFixture::with_gpus([two_phase_gpu().energy_counter(ms(100)).initial_counter(5000)])?;
    // The ticks at 0, 100, 700 and 800 ms, with 400 W in the last 100 ms.
    for (millisecond, millijoules) in
        [(0, 0), (99, 0), (100, 10_000), (799, 70_000), (800, 110_000), (899, 110_000)]
    {
        let counted = machine.first_gpu_at(millisecond)?.total_energy_consumption()?;
        assert_eq!(counted, 5_000_000 + millijoules, "{millisecond} ms");
    }
    Ok(())
}

#[test]
fn missing_counter_is_not_supported() -> NvmlTestResult {
    let machine = FakeNvmlFixture::with_gpus([two_phase_gpu()])?;
    let gpu = machine.first_gpu_at(500)?;
    assert!(matches!(gpu.total_energy_consumption(), Err(NvmlError::NotSupported)));
    assert_eq!(gpu.power_usage()?, 100_000);
    Ok(())
}

#[test]
fn averaged_power_lags_instantaneous_power() -> NvmlTestResult {
    let averaged = FakeNvmlFixture::with_gpus([two_phase_gpu().averaging_window(ms(1000))])?;
    let instantaneous = FakeNvmlFixture::with_gpus([two_phase_gpu()])?;
    // The last second at 1500 ms: 200 ms at 100 W, 330 ms at 400 W, 470 ms at 100 W.
    for (millisecond, mean, instant) in
        [(0, 100_000, 100_000), (800, 137_500, 400_000), (1500, 199_000, 100_000)]
    {
        assert_eq!(averaged.first_gpu_at(millisecond)?.power_usage()?, mean, "{millisecond} ms");
        assert_eq!(instantaneous.first_gpu_at(millisecond)?.power_usage()?, instant, "{millisecond} ms");
    }
    Ok(())
}

#[test]
fn power_fields_need_supporting_gpu() -> NvmlTestResult {
    let fields =
        [NVML_FI_DEV_POWER_INSTANT, NVML_FI_DEV_POWER_AVERAGE, NVML_FI_DEV_TOTAL_ENERGY_CONSUMPTION, 9999]
            .map(FieldId);
    let newer = FakeNvmlFixture::with_gpus([two_phase_gpu().power_fields().energy_counter(ms(20))])?;
    let answers: Vec<_> =
        newer.first_gpu_at(815)?.field_values_for(&fields)?.into_iter().collect::<Result<_, _>>()?;
    assert!(
        answers
            .iter()
            .zip(&fields)
            .all(|(answer, field)| answer.field == *field && answer.timestamp == 815_000)
    );
    assert!(matches!(answers[0].value, Ok(SampleValue::U32(400_000))));
    // 700 ms at 100 W and 115 ms at 400 W; as of the tick at 800 ms for the counter.
    assert!(matches!(answers[1].value, Ok(SampleValue::U32(142_331))), "{:?}", answers[1]);
    assert!(matches!(answers[2].value, Ok(SampleValue::U64(110_000))));
    assert!(matches!(answers[3].value, Err(NvmlError::NotSupported)));

    let older = FakeNvmlFixture::with_gpus([two_phase_gpu().averaging_window(ms(1000))])?;
    for answer in older.first_gpu_at(815)?.field_values_for(&fields)? {
        assert!(matches!(answer?.value, Err(NvmlError::NotSupported)));
    }
    Ok(())
}

#[test]
fn reset_restarts_counter_only() -> NvmlTestResult {
    let machine = FakeNvmlFixture::with_gpus([two_phase_gpu()
        .energy_counter(ms(20))
        .initial_counter(5000)
        .counter_reset(ms(3000))])?;
    // Until 2980 ms: two cycles and 920 ms of the third, including 220 ms at 400 W.
    assert_eq!(
        machine.first_gpu_at(2999)?.total_energy_consumption()?,
        5_000_000 + 2 * 202_000 + 70_000 + 88_000
    );
    assert_eq!(machine.first_gpu_at(3000)?.total_energy_consumption()?, 0);
    // 3000 to 3090 ms at 400 W, then 100 W.
    assert_eq!(machine.first_gpu_at(3119)?.total_energy_consumption()?, 36_000 + 1_000);
    let joules = machine.script.true_energy(0, ms(2990), ms(3010));
    assert!((joules - 8.0).abs() < 1e-9, "{joules}");
    Ok(())
}

#[test]
fn lost_gpu_fails_every_query() -> NvmlTestResult {
    let second = nvidia_ml::FakeGpu::new("GPU-b", "0000:08:00.0", "Other").power_from(ms(0), 50);
    let machine = FakeNvmlFixture::with_gpus([
        two_phase_gpu().energy_counter(ms(20)).power_limit(700).lost_at(ms(5000)),
        second,
    ])?;
    let gpu = machine.first_gpu_at(4999)?;
    assert!(gpu.total_energy_consumption()? > 0);
    machine.clock.set_millis(5000)?;
    assert!(matches!(gpu.total_energy_consumption(), Err(NvmlError::GpuLost)));
    assert!(matches!(gpu.power_usage(), Err(NvmlError::GpuLost)));
    assert!(matches!(gpu.uuid(), Err(NvmlError::GpuLost)));
    assert!(matches!(gpu.enforced_power_limit(), Err(NvmlError::GpuLost)));
    assert!(matches!(gpu.field_values_for(&[FieldId(186)]), Err(NvmlError::GpuLost)));
    assert!(matches!(machine.nvml.device_by_index(0), Err(NvmlError::GpuLost)));
    assert_eq!(machine.nvml.device_count()?, 2);
    assert_eq!(machine.nvml.device_by_index(1)?.power_usage()?, 50_000);
    Ok(())
}

#[test]
fn query_delay_is_applied() -> NvmlTestResult {
    let machine = FakeNvmlFixture::with_gpus([two_phase_gpu().query_delay(ms(20))])?;
    let gpu = machine.first_gpu_at(0)?;
    let before = Instant::now();
    gpu.power_usage()?;
    assert!(before.elapsed() >= ms(20));
    Ok(())
}

#[test]
fn real_clock_counts_from_given_time() -> NvmlTestResult {
    let folder = tempfile::tempdir()?;
    let earliest = Instant::now();
    let zero = SystemTime::now();
    let latest = Instant::now();
    let script = NvmlScript::new().real_clock_since(zero).with_gpu(two_phase_gpu().energy_counter(ms(0)));
    let nvml = open_library(&install(&script, folder.path())?)?;
    let gpu = nvml.device_by_index(0)?;
    let mut last = 0;
    for _ in 0..100 {
        let before = latest.elapsed();
        let millijoules = gpu.total_energy_consumption()?;
        let after = earliest.elapsed();
        let bounds = [before, after].map(|at| script.true_energy(0, ms(0), at) * 1000.0);
        // One millijoule for rounding down, and one for the difference between the two system clocks.
        assert!(
            bounds[0] - 2.0 <= millijoules as f64 && millijoules as f64 <= bounds[1] + 2.0,
            "{millijoules} {bounds:?}"
        );
        assert!(millijoules >= last);
        last = millijoules;
    }
    Ok(())
}
