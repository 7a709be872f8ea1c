#![expect(clippy::float_cmp, reason = "shares are chosen to be exact in binary")]

use super::fixture::Machine;
use super::*;

/// A task of a Slurm step.
const SLURM: [(&str, &str); 2] = [("SLURM_JOB_ID", "42"), ("SLURM_PROCID", "3")];

fn processors(numbers: impl IntoIterator<Item = usize>) -> Work {
    Work::Processors(numbers.into_iter().collect())
}

#[test]
fn without_a_limit_it_is_the_whole_machine() {
    let machine = Machine::new(8, 16)
        .with("proc/self/status", "Name:\ttrain\nCpus_allowed:\tff\nCpus_allowed_list:\t0-7\n")
        .with("proc/self/cgroup", "0::/user.slice/session-1.scope\n")
        .with("sys/fs/cgroup/user.slice/memory.max", "max\n")
        .with("sys/fs/cgroup/user.slice/cpu.max", "max 100000\n")
        .with("sys/fs/cgroup/cpuset.cpus.effective", "0-7\n");
    let allocation = machine.allocation(&[]);
    assert_eq!(allocation.share(), 1.0);
    assert_eq!((allocation.processors, allocation.online, &allocation.work), (8.0, 8, &Work::Machine));
    assert_eq!((allocation.memory, allocation.host_memory), (16 << 30, 16 << 30));
}

#[test]
fn an_affinity_is_a_list_of_processors() {
    let machine = Machine::new(8, 16).with("proc/self/status", "Cpus_allowed_list:\t2-3\n");
    let allocation = machine.allocation(&[]);
    assert_eq!((allocation.share(), allocation.work), (0.25, processors([2, 3])));
}

#[test]
fn processors_that_are_off_line_are_not_given() {
    let machine = Machine::new(4, 16).with("proc/self/status", "Cpus_allowed_list:\t3-255\n");
    assert_eq!(machine.allocation(&[]).work, processors([3]));
    let elsewhere = Machine::new(4, 16).with("proc/self/status", "Cpus_allowed_list:\t64-95\n");
    assert_eq!(elsewhere.allocation(&[]).share(), 1.0, "a list of none that is on line says nothing");
}

/// A container engine's container: its own group is mounted as the root.
#[test]
fn a_quota_gives_fractions_and_says_what_was_used_of_it() {
    let machine = Machine::new(64, 1024)
        .with("sys/fs/cgroup/cpu.max", "150000 100000\n")
        .with("sys/fs/cgroup/cpu.stat", "usage_usec 2500000\nuser_usec 2000000\nsystem_usec 500000\n")
        .with("sys/fs/cgroup/memory.max", "34359738368\n");
    let allocation = machine.allocation(&[]);
    assert_eq!((allocation.processors, allocation.online, allocation.share()), (1.5, 64, 1.5 / 64.0));
    assert_eq!((allocation.memory, allocation.host_memory), (32 << 30, 1024 << 30));
    let Work::Group(usage) = allocation.work else { panic!("{:?} is not of a group", allocation.work) };
    assert_eq!(usage.seconds(), Some(2.5));
}

#[test]
fn a_quota_whose_use_is_not_told_takes_the_machine_s_work() {
    let machine = Machine::new(4, 16).with("sys/fs/cgroup/cpu.max", "50000 100000\n");
    let allocation = machine.allocation(&[]);
    assert_eq!((allocation.share(), allocation.work), (0.125, Work::Machine));
}

#[test]
fn the_tightest_group_on_the_way_up_holds() {
    let machine = Machine::new(8, 16)
        .with("proc/self/cgroup", "0::/pod/container\n")
        .with("sys/fs/cgroup/pod/cpu.max", "200000 100000\n")
        .with("sys/fs/cgroup/pod/cpu.stat", "usage_usec 7000000\n")
        .with("sys/fs/cgroup/pod/container/cpu.max", "400000 100000\n")
        .with("sys/fs/cgroup/pod/container/cpu.stat", "usage_usec 1000000\n")
        .with("sys/fs/cgroup/pod/memory.max", "2147483648\n")
        .with("sys/fs/cgroup/pod/container/memory.max", "max\n");
    let allocation = machine.allocation(&[]);
    assert_eq!((allocation.processors, allocation.memory), (2.0, 2 << 30));
    assert_eq!(allocation.work, Work::Group(Usage::Stat(machine.cgroup().join("pod/cpu.stat"))));
}

#[test]
fn of_a_list_and_a_quota_the_lesser_holds() {
    let listed = |quota: &str| {
        Machine::new(8, 16)
            .with("proc/self/status", "Cpus_allowed_list:\t0-3\n")
            .with("sys/fs/cgroup/cpu.max", quota)
            .allocation(&[])
    };
    assert_eq!(listed("800000 100000\n").work, processors(0..4));
    assert_eq!(listed("100000 100000\n").processors, 1.0);
}

/// Version 1, as Slurm sets it up: a group for the job, below it one for each step and task.
fn slurm_node() -> Machine {
    let group = "/slurm/uid_1000/job_42/step_0/task_3";
    let lines = format!(
        "11:cpuset:{group}\n9:memory:{group}\n4:cpu,cpuacct:/slurm/uid_1000/job_42\n1:name=systemd:/system.slice\n"
    );
    let job = "slurm/uid_1000/job_42";
    Machine::new(64, 512)
        .with("proc/self/cgroup", &lines)
        .with("proc/self/status", "Cpus_allowed_list:\t3\n")
        .with("sys/fs/cgroup/cpuset/cpuset.cpus", "0-63\n")
        .with(&format!("sys/fs/cgroup/cpuset/{job}/cpuset.cpus"), "0-7\n")
        .with(&format!("sys/fs/cgroup/cpuset/{job}/step_0/cpuset.cpus"), "0-3\n")
        .with(&format!("sys/fs/cgroup/cpuset/{job}/step_0/task_3/cpuset.cpus"), "3\n")
        .with("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n")
        .with(&format!("sys/fs/cgroup/memory/{job}/memory.limit_in_bytes"), "68719476736\n")
        .with(&format!("sys/fs/cgroup/memory/{job}/step_0/task_3/memory.limit_in_bytes"), "1073741824\n")
        .with("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "-1\n")
}

#[test]
fn a_task_counts_its_job_s_processors_and_memory() {
    let allocation = slurm_node().allocation(&SLURM);
    assert_eq!((allocation.share(), &allocation.work), (0.125, &processors(0..8)));
    assert_eq!(allocation.memory, 64 << 30);
}

#[test]
fn slurm_s_count_of_cores_does_not_halve_what_the_kernel_counts_in_threads() {
    let variables = [&SLURM[..], &[("SLURM_CPUS_ON_NODE", "4"), ("SLURM_MEM_PER_NODE", "32768")]].concat();
    let allocation = slurm_node().allocation(&variables);
    assert_eq!(allocation.processors, 8.0);
    assert_eq!(allocation.memory, 32 << 30, "what was booked is less than the group's limit");
}

/// As with `task/none`: nothing confines the job, only its booking says what it was given.
#[test]
fn where_nothing_confines_a_job_its_booking_counts() {
    let variables =
        [&SLURM[..], &[("SLURM_JOB_CPUS_PER_NODE", "16(x2)"), ("SLURM_MEM_PER_CPU", "2048")]].concat();
    let machine = Machine::new(64, 512).with("proc/self/status", "Cpus_allowed_list:\t7\n");
    let allocation = machine.allocation(&variables);
    assert_eq!((allocation.share(), &allocation.work), (0.25, &Work::Machine));
    assert_eq!(allocation.memory, 32 << 30);
}

#[test]
fn version_two_of_slurm_s_groups_is_cut_at_the_job_as_well() {
    let job = "sys/fs/cgroup/system.slice/slurmstepd.scope/job_42";
    let machine = Machine::new(32, 256)
        .with("proc/self/cgroup", "0::/system.slice/slurmstepd.scope/job_42/step_0/user/task_0\n")
        .with(&format!("{job}/cpuset.cpus.effective"), "8-15\n")
        .with(&format!("{job}/step_0/user/task_0/cpuset.cpus.effective"), "8\n")
        .with(&format!("{job}/memory.max"), "34359738368\n");
    let allocation = machine.allocation(&SLURM);
    assert_eq!((allocation.share(), allocation.work), (0.25, processors(8..16)));
    assert_eq!(allocation.memory, 32 << 30);
}

#[test]
fn a_rank_that_its_launcher_bound_to_a_core_has_the_job_s_processors() {
    let machine = Machine::new(8, 16).with("proc/self/status", "Cpus_allowed_list:\t5\n");
    assert_eq!(machine.allocation(&[("OMPI_COMM_WORLD_LOCAL_SIZE", "8")]).share(), 1.0);
    assert_eq!(machine.allocation(&[("OMPI_COMM_WORLD_LOCAL_SIZE", "1")]).share(), 0.125);
    assert_eq!(machine.allocation(&[("LOCAL_RANK", "5"), ("WORLD_SIZE", "8")]).share(), 0.125);
}

#[test]
fn version_one_s_quota_is_read_with_its_account() {
    let machine = Machine::new(4, 16)
        .with("proc/self/cgroup", "3:cpuacct,cpu:/docker/abc\n2:memory:/docker/abc\n")
        .with("sys/fs/cgroup/cpu/cpu.cfs_quota_us", "250000\n")
        .with("sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n")
        .with("sys/fs/cgroup/cpu/cpuacct.usage", "1500000000\n")
        .with("sys/fs/cgroup/memory/memory.limit_in_bytes", "4294967296\n");
    let allocation = machine.allocation(&[]);
    assert_eq!((allocation.processors, allocation.memory), (2.5, 4 << 30));
    let Work::Group(usage) = allocation.work else { panic!("{:?} is not of a group", allocation.work) };
    assert_eq!(usage.seconds(), Some(1.5));
}

#[test]
fn a_group_outside_the_container_s_view_does_not_lead_out_of_the_mount() {
    let machine = Machine::new(4, 16)
        .with("proc/self/cgroup", "0::/../../other\n")
        .with("sys/memory.max", "1\n")
        .with("sys/fs/cgroup/memory.max", "8589934592\n");
    assert_eq!(machine.allocation(&[]).memory, 8 << 30);
}

#[test]
fn a_container_that_sees_only_its_own_processors_has_its_part_of_their_package() {
    let cpuinfo: String =
        (0..4).map(|number| format!("processor\t: {number}\nphysical id\t: 1\nsiblings\t: 64\n\n")).collect();
    // lxcfs numbers them anew; the affinity still has the host's numbers.
    let machine = Machine::new(4, 16)
        .with("proc/cpuinfo", &cpuinfo)
        .with("proc/self/status", "Cpus_allowed_list:\t40-43\n");
    let allocation = machine.allocation(&[]);
    assert_eq!((allocation.share(), allocation.work), (0.0625, processors(0..4)));
}

#[test]
fn text_that_says_nothing_limits_nothing() {
    for nonsense in ["", "\n", "x", "-1", "0 0", "1e999 1", "nan nan", "max"] {
        let machine = Machine::new(4, 16)
            .with("proc/self/cgroup", &format!("{nonsense}\n0::/\n:::\n9:cpu:relative\n"))
            .with("proc/self/status", &format!("Cpus_allowed_list:{nonsense}\n"))
            .with("sys/fs/cgroup/cpu.max", nonsense)
            .with("sys/fs/cgroup/memory.max", nonsense)
            .with("sys/fs/cgroup/cpuset.cpus.effective", nonsense);
        let allocation = machine.allocation(&[]);
        assert_eq!((allocation.share(), allocation.memory), (1.0, 16 << 30), "{nonsense:?}");
    }
}

#[test]
fn a_kernel_that_does_not_tell_gives_none() {
    for file in ["proc/stat", "proc/meminfo"] {
        let machine = Machine::new(4, 16);
        machine.write(file, "nonsense\n");
        assert_eq!(machine.find(&|_| None), None, "{file}");
        machine.remove(file);
        assert_eq!(machine.find(&|_| None), None, "{file}");
    }
    assert_eq!(Allocation::of_this_process(Path::new("/nowhere"), Path::new("/nowhere")), None);
}
