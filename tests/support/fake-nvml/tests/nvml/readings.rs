//! Power and energy as `nvml-wrapper` reads them, against figures worked out by hand.

use crate::machine::{Machine, Outcome, first, ms, open, two_phases};
use nvidia_ml::{Script, install};
use nvml_wrapper::enums::device::SampleValue;
use nvml_wrapper::error::NvmlError;
use nvml_wrapper::structs::device::FieldId;
use nvml_wrapper::sys_exports::field_id::{
    NVML_FI_DEV_POWER_AVERAGE, NVML_FI_DEV_POWER_INSTANT, NVML_FI_DEV_TOTAL_ENERGY_CONSUMPTION,
};
use std::time::{Instant, SystemTime};

#[test]
fn a_counter_is_exact_to_the_millijoule() -> Outcome {
    let machine = Machine::with([two_phases().counter(ms(0))])?;
    for millisecond in [0_u64, 1, 699, 700, 701, 1029, 1030, 1730, 12_345] {
        let (cycles, rest) = (millisecond / 1030, millisecond % 1030);
        let millijoules = cycles * 202_000 + rest.min(700) * 100 + rest.saturating_sub(700) * 400;
        assert_eq!(machine.at(millisecond)?.total_energy_consumption()?, millijoules, "{millisecond} ms");
        let joules = machine.script.true_energy(0, ms(0), ms(millisecond));
        assert!((joules * 1000.0 - millijoules as f64).abs() < 1e-6, "{millisecond} ms: {joules} J");
    }
    Ok(())
}

#[test]
fn a_clock_moves_by_less_than_a_millisecond() -> Outcome {
    let machine = Machine::with([first().power(ms(0), 400).counter(ms(0))])?;
    let board = machine.at(10)?;
    machine.clock.advance(std::time::Duration::from_micros(2500))?;
    assert_eq!(board.total_energy_consumption()?, 5_000);
    Ok(())
}

#[test]
fn a_ticked_counter_waits_for_its_tick() -> Outcome {
    let machine = Machine::with([two_phases().counter(ms(100)).counter_start(5000)])?;
    // The ticks at 0, 100, 700 and 800 ms, with 400 W in the last 100 ms.
    for (millisecond, millijoules) in
        [(0, 0), (99, 0), (100, 10_000), (799, 70_000), (800, 110_000), (899, 110_000)]
    {
        let counted = machine.at(millisecond)?.total_energy_consumption()?;
        assert_eq!(counted, 5_000_000 + millijoules, "{millisecond} ms");
    }
    Ok(())
}

#[test]
fn a_board_without_counter_says_so() -> Outcome {
    let machine = Machine::with([two_phases()])?;
    let board = machine.at(500)?;
    assert!(matches!(board.total_energy_consumption(), Err(NvmlError::NotSupported)));
    assert_eq!(board.power_usage()?, 100_000);
    Ok(())
}

#[test]
fn averaged_power_lags_behind_the_moment() -> Outcome {
    let averaged = Machine::with([two_phases().average(ms(1000))])?;
    let momentary = Machine::with([two_phases()])?;
    // The last second at 1500 ms: 200 ms at 100 W, 330 ms at 400 W, 470 ms at 100 W.
    for (millisecond, mean, moment) in
        [(0, 100_000, 100_000), (800, 137_500, 400_000), (1500, 199_000, 100_000)]
    {
        assert_eq!(averaged.at(millisecond)?.power_usage()?, mean, "{millisecond} ms");
        assert_eq!(momentary.at(millisecond)?.power_usage()?, moment, "{millisecond} ms");
    }
    Ok(())
}

#[test]
fn fields_are_offered_by_boards_that_have_them() -> Outcome {
    let asked =
        [NVML_FI_DEV_POWER_INSTANT, NVML_FI_DEV_POWER_AVERAGE, NVML_FI_DEV_TOTAL_ENERGY_CONSUMPTION, 9999]
            .map(FieldId);
    let newer = Machine::with([two_phases().instant().counter(ms(20))])?;
    let answers: Vec<_> = newer.at(815)?.field_values_for(&asked)?.into_iter().collect::<Result<_, _>>()?;
    assert!(
        answers
            .iter()
            .zip(&asked)
            .all(|(answer, asked)| answer.field == *asked && answer.timestamp == 815_000)
    );
    assert!(matches!(answers[0].value, Ok(SampleValue::U32(400_000))));
    // 700 ms at 100 W and 115 ms at 400 W; as of the tick at 800 ms for the counter.
    assert!(matches!(answers[1].value, Ok(SampleValue::U32(142_331))), "{:?}", answers[1]);
    assert!(matches!(answers[2].value, Ok(SampleValue::U64(110_000))));
    assert!(matches!(answers[3].value, Err(NvmlError::NotSupported)));

    let older = Machine::with([two_phases().average(ms(1000))])?;
    for answer in older.at(815)?.field_values_for(&asked)? {
        assert!(matches!(answer?.value, Err(NvmlError::NotSupported)));
    }
    Ok(())
}

#[test]
fn a_reset_starts_the_counter_again_and_not_the_power() -> Outcome {
    let machine = Machine::with([two_phases().counter(ms(20)).counter_start(5000).reset(ms(3000))])?;
    // Until 2980 ms: two cycles and 920 ms of the third, of which 220 ms at 400 W.
    assert_eq!(machine.at(2999)?.total_energy_consumption()?, 5_000_000 + 2 * 202_000 + 70_000 + 88_000);
    assert_eq!(machine.at(3000)?.total_energy_consumption()?, 0);
    // 3000 to 3090 ms at 400 W, then 100 W.
    assert_eq!(machine.at(3119)?.total_energy_consumption()?, 36_000 + 1_000);
    let joules = machine.script.true_energy(0, ms(2990), ms(3010));
    assert!((joules - 8.0).abs() < 1e-9, "{joules}");
    Ok(())
}

#[test]
fn a_lost_board_answers_nothing_more() -> Outcome {
    let second = nvidia_ml::Board::new("GPU-b", "0000:08:00.0", "Other").power(ms(0), 50);
    let machine = Machine::with([two_phases().counter(ms(20)).limit(700).lost(ms(5000)), second])?;
    let board = machine.at(4999)?;
    assert!(board.total_energy_consumption()? > 0);
    machine.clock.set_millis(5000)?;
    assert!(matches!(board.total_energy_consumption(), Err(NvmlError::GpuLost)));
    assert!(matches!(board.power_usage(), Err(NvmlError::GpuLost)));
    assert!(matches!(board.uuid(), Err(NvmlError::GpuLost)));
    assert!(matches!(board.enforced_power_limit(), Err(NvmlError::GpuLost)));
    assert!(matches!(board.field_values_for(&[FieldId(186)]), Err(NvmlError::GpuLost)));
    assert!(matches!(machine.nvml.device_by_index(0), Err(NvmlError::GpuLost)));
    assert_eq!(machine.nvml.device_count()?, 2);
    assert_eq!(machine.nvml.device_by_index(1)?.power_usage()?, 50_000);
    Ok(())
}

#[test]
fn a_slow_board_takes_its_time() -> Outcome {
    let machine = Machine::with([two_phases().slow(ms(20))])?;
    let board = machine.at(0)?;
    let before = Instant::now();
    board.power_usage()?;
    assert!(before.elapsed() >= ms(20));
    Ok(())
}

#[test]
fn a_real_clock_counts_from_the_given_moment() -> Outcome {
    let folder = tempfile::tempdir()?;
    let earliest = Instant::now();
    let zero = SystemTime::now();
    let latest = Instant::now();
    let script = Script::new().clock_since(zero).board(two_phases().counter(ms(0)));
    let nvml = open(&install(&script, folder.path())?)?;
    let board = nvml.device_by_index(0)?;
    let mut last = 0;
    for _ in 0..100 {
        let before = latest.elapsed();
        let millijoules = board.total_energy_consumption()?;
        let after = earliest.elapsed();
        let bounds = [before, after].map(|at| script.true_energy(0, ms(0), at) * 1000.0);
        // One millijoule for rounding down, and one for the two clocks of the system.
        assert!(
            bounds[0] - 2.0 <= millijoules as f64 && millijoules as f64 <= bounds[1] + 2.0,
            "{millijoules} {bounds:?}"
        );
        assert!(millijoules >= last);
        last = millijoules;
    }
    Ok(())
}
