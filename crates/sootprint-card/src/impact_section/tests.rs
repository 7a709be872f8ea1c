use sootprint_core::ComponentKind;

use super::*;
use crate::fixtures;

fn rendered_section(footprint: &Footprint, options: &CardOptions) -> String {
    render_section(footprint, options, SectionContext::default()).replace(SHORT_VERSION, "X.Y")
}

#[test]
fn section_for_two_gpus() {
    insta::assert_snapshot!(rendered_section(&fixtures::with_epochs(), &CardOptions::default().plot(true)), @r"
    ## Environmental Impact

    - **Hardware Type:** 2 x NVIDIA H200
    - **Hours used:** 1 (device-hours of 2 GPUs)
    - **Cloud Provider:** not known
    - **Compute Region:** France
    - **Carbon Emitted:** 40.6823 g CO2eq
    - **Energy:** 0.726469444 kWh (GPU 666.67 Wh, CPU 50.00 Wh and memory 9.80 Wh)
    - **Range:** 30 to 70 g CO2eq around 40.6823 g; 666.67 Wh to 805.56 Wh in the hardware. These are bounds under [stated assumptions](https://github.com/sootprint/sootprint/blob/main/docs/uncertainty.md), not a confidence interval
    - **Measured:** 2 x GPU (NVIDIA H200) by their energy counters, 91.8 % of the energy
    - **Modelled:** CPU (a processor), the 50 % of it that the job was given, 6.88 % of the energy; memory (64 GiB), the 50 % of it that the job was given, 1.35 % of the energy
    - **Carbon intensity:** 56 g CO2eq/kWh (47.6 to 64.4), France, yearly mean of 2024; it counts the life cycle of the electricity generated there; source: Ember
    - **PUE:** 1.00, assumed, since nobody said; the range above allows for 1.56
    - **Training:** pre-training, 30.0 min
    - **Not included:** fans, disks, network and losses of power supplies, making and disposal of the hardware, other runs and experiments

    | Epoch | Time | Energy | CO2eq |
    |---:|---:|---:|---:|
    | 1 | 9.7 min | 236.11 Wh | 13.22 g |
    | 2 | 9.7 min | 238.89 Wh | 13.38 g |
    | 3 (not finished) | 9.7 min | 241.67 Wh | 13.53 g |

    ![Power over time with the epochs marked, and energy by component](sootprint.png)

    Accounted for by [sootprint](https://github.com/sootprint/sootprint) X.Y; the same figures are in this card's metadata.
    ");
}

#[test]
fn losses_and_guesses_are_stated() {
    let mut footprint = fixtures::fine_tuning("org/base");
    footprint.grid.place = None;
    footprint.grid.source = "/home/alice/hours.csv".to_owned();
    footprint.components[1].method = None;
    footprint.components[2].unmeasured_s = 10.0;
    footprint.components[2].shared = true;
    footprint.run.partial = true;
    footprint.run.attempts = 2;
    footprint.run.outcome = RunStatus::StoppedEarly;
    insta::assert_snapshot!(rendered_section(&footprint, &CardOptions::default()), @r"
    ## Environmental Impact

    - **Hardware Type:** 2 x NVIDIA H200
    - **Hours used:** 1 (device-hours of 2 GPUs)
    - **Cloud Provider:** not known
    - **Compute Region:** not known
    - **Carbon Emitted:** 40.6823 g CO2eq
    - **Energy:** 0.726469444 kWh (GPU 666.67 Wh, CPU 50.00 Wh and memory 9.80 Wh)
    - **Range:** 30 to 70 g CO2eq around 40.6823 g; 666.67 Wh to 805.56 Wh in the hardware. These are bounds under [stated assumptions](https://github.com/sootprint/sootprint/blob/main/docs/uncertainty.md), not a confidence interval
    - **Measured:** GPU (NVIDIA H200) by its energy counter, 45.9 % of the energy
    - **Modelled:** CPU (a processor), the 50 % of it that the job was given, used by others at the same time, 6.88 % of the energy; memory (64 GiB), the 50 % of it that the job was given, 1.35 % of the energy
    - **Not measured:** 1 x GPU that could not be read and 10.0 s of CPU; not in the figures above
    - **Carbon intensity:** 56 g CO2eq/kWh (47.6 to 64.4), the world, since nobody said where the run was, yearly mean of 2024; it counts the life cycle of the electricity generated there
    - **PUE:** 1.00, assumed, since nobody said; the range above allows for 1.56
    - **Training:** fine-tuning, 30.0 min in 2 attempts; stopped early
    - **Base model:** org/base; its own footprint is separate and not in these figures
    - **Not included:** fans, disks, network and losses of power supplies, making and disposal of the hardware, other runs and experiments, the training of the base model

    Accounted for by [sootprint](https://github.com/sootprint/sootprint) X.Y; the same figures are in this card's metadata.
    ");
}

#[test]
fn guessed_location_is_marked() {
    let mut footprint = fixtures::footprint();
    footprint.grid.origin = sootprint_core::LocationSource::TimeZone;
    let text = rendered_section(&footprint, &CardOptions::default());
    assert!(text.contains("**Compute Region:** not known"), "{text}");
    assert!(text.contains("France, a guess from the machine's time zone, yearly mean"), "{text}");
}

#[test]
fn base_model_emissions_stay_separate() {
    let base =
        ModelCard::parse("---\nco2_eq_emissions: {emissions: 1710, source: CodeCarbon}\n---\n").unwrap();
    let options = CardOptions::default().with_base_model_card(base);
    let text = rendered_section(&fixtures::fine_tuning("org/base"), &options);
    assert!(
        text.contains(
            "- **Base model:** org/base; its card publishes 1710 g CO2eq (1.71 kg) (source: CodeCarbon), which is \
             separate and not added to these figures\n"
        ),
        "{text}"
    );
    assert!(text.contains("- **Carbon Emitted:** 40.6823 g CO2eq\n"), "{text}");
    let without_emissions =
        CardOptions::default().with_base_model_card(ModelCard::parse("# Base\n").unwrap());
    assert!(
        rendered_section(&fixtures::fine_tuning("org/base"), &without_emissions)
            .contains("its card publishes no emissions")
    );
    assert!(
        !rendered_section(&fixtures::footprint(), &options).contains("Base model"),
        "a pre-training has none"
    );
    let with_local_path = rendered_section(&fixtures::fine_tuning("/home/alice/base"), &options);
    assert!(
        with_local_path.contains("- **Base model:** the base model; its card")
            && !with_local_path.contains("alice")
    );
}

#[test]
fn many_epochs_become_a_sentence() {
    let mut footprint = fixtures::with_epochs();
    footprint.epochs = vec![footprint.epochs[0].clone(); 21];
    let text = rendered_section(&footprint, &CardOptions::default());
    assert!(text.contains("The 21 epochs used ") && !text.contains("| Epoch |"), "{text}");
}

#[test]
fn existing_fields_are_not_repeated() {
    let context = SectionContext { has_heading: true, existing_fields: [true, true, false, true, true] };
    let text = render_section(&fixtures::footprint(), &CardOptions::default(), context);
    assert!(text.starts_with("- **Cloud Provider:** not known\n- **Energy:** "), "{text}");
    assert!(!text.contains("Carbon Emitted") && !text.contains(PLOT_FILE));
}

#[test]
fn cpu_run_counts_cpu_hours() {
    let mut footprint = fixtures::footprint();
    footprint.components.retain(|component| component.kind != ComponentKind::Gpu);
    assert_eq!(device_hours_text(&footprint).unwrap(), "0.5 (device-hours of 1 CPU)");
    assert_eq!(device_hours_text(&fixtures::footprint()).unwrap(), "1 (device-hours of 2 GPUs)");
}

#[test]
fn several_attempts_add_a_column() {
    let mut footprint = fixtures::with_epochs();
    footprint.epochs[2].attempt = 2;
    let text = rendered_section(&footprint, &CardOptions::default());
    assert!(
        text.contains("| Epoch | Attempt | Time | Energy | CO2eq |\n|---:|---:|---:|---:|---:|\n"),
        "{text}"
    );
    assert!(text.contains("| 3 (not finished) | 2 | 9.7 min | 241.67 Wh | 13.53 g |"), "{text}");
}
