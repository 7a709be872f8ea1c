#![expect(clippy::float_cmp, reason = "shares are chosen to be exact in binary")]

use super::fixture::HostFixture;
use super::*;

/// A task of a Slurm step.
const SLURM: [(&str, &str); 2] = [("SLURM_JOB_ID", "42"), ("SLURM_PROCID", "3")];

fn cpu_list(numbers: impl IntoIterator<Item = usize>) -> CpuTimeSource {
    CpuTimeSource::CpuList(numbers.into_iter().collect())
}

#[test]
fn no_limit_gives_whole_machine() {
    let machine = HostFixture::new(8, 16)
        .with_file("proc/self/status", "Name:\ttrain\nCpus_allowed:\tff\nCpus_allowed_list:\t0-7\n")
        .with_file("proc/self/cgroup", "0::/user.slice/session-1.scope\n")
        .with_file("sys/fs/cgroup/user.slice/memory.max", "max\n")
        .with_file("sys/fs/cgroup/user.slice/cpu.max", "max 100000\n")
        .with_file("sys/fs/cgroup/cpuset.cpus.effective", "0-7\n");
    let limits = machine.job_limits(&[]);
    assert_eq!(limits.cpu_share(), 1.0);
    assert_eq!(
        (limits.cpus, limits.online_cpus, &limits.cpu_time_source),
        (8.0, 8, &CpuTimeSource::WholeMachine)
    );
    assert_eq!((limits.memory_bytes, limits.host_memory_bytes), (16 << 30, 16 << 30));
}

#[test]
fn affinity_gives_cpu_list() {
    let machine = HostFixture::new(8, 16).with_file("proc/self/status", "Cpus_allowed_list:\t2-3\n");
    let limits = machine.job_limits(&[]);
    assert_eq!((limits.cpu_share(), limits.cpu_time_source), (0.25, cpu_list([2, 3])));
}

#[test]
fn offline_cpus_are_ignored() {
    let machine = HostFixture::new(4, 16).with_file("proc/self/status", "Cpus_allowed_list:\t3-255\n");
    assert_eq!(machine.job_limits(&[]).cpu_time_source, cpu_list([3]));
    let elsewhere = HostFixture::new(4, 16).with_file("proc/self/status", "Cpus_allowed_list:\t64-95\n");
    assert_eq!(elsewhere.job_limits(&[]).cpu_share(), 1.0, "a list without online CPUs is ignored");
}

/// A container: its own group is mounted as the root.
#[test]
fn quota_gives_fractional_cpus() {
    let machine = HostFixture::new(64, 1024)
        .with_file("sys/fs/cgroup/cpu.max", "150000 100000\n")
        .with_file("sys/fs/cgroup/cpu.stat", "usage_usec 2500000\nuser_usec 2000000\nsystem_usec 500000\n")
        .with_file("sys/fs/cgroup/memory.max", "34359738368\n");
    let limits = machine.job_limits(&[]);
    assert_eq!((limits.cpus, limits.online_cpus, limits.cpu_share()), (1.5, 64, 1.5 / 64.0));
    assert_eq!((limits.memory_bytes, limits.host_memory_bytes), (32 << 30, 1024 << 30));
    let CpuTimeSource::Cgroup(usage) = limits.cpu_time_source else {
        panic!("{:?} is not a control group", limits.cpu_time_source)
    };
    assert_eq!(usage.cpu_seconds(), Some(2.5));
}

#[test]
fn quota_without_usage_uses_machine_load() {
    let machine = HostFixture::new(4, 16).with_file("sys/fs/cgroup/cpu.max", "50000 100000\n");
    let limits = machine.job_limits(&[]);
    assert_eq!((limits.cpu_share(), limits.cpu_time_source), (0.125, CpuTimeSource::WholeMachine));
}

#[test]
fn tightest_cgroup_limit_applies() {
    let machine = HostFixture::new(8, 16)
        .with_file("proc/self/cgroup", "0::/pod/container\n")
        .with_file("sys/fs/cgroup/pod/cpu.max", "200000 100000\n")
        .with_file("sys/fs/cgroup/pod/cpu.stat", "usage_usec 7000000\n")
        .with_file("sys/fs/cgroup/pod/container/cpu.max", "400000 100000\n")
        .with_file("sys/fs/cgroup/pod/container/cpu.stat", "usage_usec 1000000\n")
        .with_file("sys/fs/cgroup/pod/memory.max", "2147483648\n")
        .with_file("sys/fs/cgroup/pod/container/memory.max", "max\n");
    let limits = machine.job_limits(&[]);
    assert_eq!((limits.cpus, limits.memory_bytes), (2.0, 2 << 30));
    assert_eq!(
        limits.cpu_time_source,
        CpuTimeSource::Cgroup(CpuUsageFile::CpuStat(machine.cgroup_dir().join("pod/cpu.stat")))
    );
}

#[test]
fn smaller_of_list_and_quota_applies() {
    let listed = |quota: &str| {
        HostFixture::new(8, 16)
            .with_file("proc/self/status", "Cpus_allowed_list:\t0-3\n")
            .with_file("sys/fs/cgroup/cpu.max", quota)
            .job_limits(&[])
    };
    assert_eq!(listed("800000 100000\n").cpu_time_source, cpu_list(0..4));
    assert_eq!(listed("100000 100000\n").cpus, 1.0);
}

/// Version 1 as Slurm sets it up: a group for the job, and below it one for each step and task.
fn slurm_node() -> HostFixture {
    let group = "/slurm/uid_1000/job_42/step_0/task_3";
    let lines = format!(
        "11:cpuset:{group}\n9:memory:{group}\n4:cpu,cpuacct:/slurm/uid_1000/job_42\n1:name=systemd:/system.slice\n"
    );
    let job = "slurm/uid_1000/job_42";
    HostFixture::new(64, 512)
        .with_file("proc/self/cgroup", &lines)
        .with_file("proc/self/status", "Cpus_allowed_list:\t3\n")
        .with_file("sys/fs/cgroup/cpuset/cpuset.cpus", "0-63\n")
        .with_file(&format!("sys/fs/cgroup/cpuset/{job}/cpuset.cpus"), "0-7\n")
        .with_file(&format!("sys/fs/cgroup/cpuset/{job}/step_0/cpuset.cpus"), "0-3\n")
        .with_file(&format!("sys/fs/cgroup/cpuset/{job}/step_0/task_3/cpuset.cpus"), "3\n")
        .with_file("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n")
        .with_file(&format!("sys/fs/cgroup/memory/{job}/memory.limit_in_bytes"), "68719476736\n")
        .with_file(&format!("sys/fs/cgroup/memory/{job}/step_0/task_3/memory.limit_in_bytes"), "1073741824\n")
        .with_file("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "-1\n")
}

#[test]
fn slurm_task_gets_job_limits() {
    let limits = slurm_node().job_limits(&SLURM);
    assert_eq!((limits.cpu_share(), &limits.cpu_time_source), (0.125, &cpu_list(0..8)));
    assert_eq!(limits.memory_bytes, 64 << 30);
}

#[test]
fn slurm_cores_do_not_override_threads() {
    let variables = [&SLURM[..], &[("SLURM_CPUS_ON_NODE", "4"), ("SLURM_MEM_PER_NODE", "32768")]].concat();
    let limits = slurm_node().job_limits(&variables);
    assert_eq!(limits.cpus, 8.0);
    assert_eq!(limits.memory_bytes, 32 << 30, "the allocation is below the group's limit");
}

/// As with `task/none`: the job is not confined, and only its allocation limits it.
#[test]
fn unconfined_job_uses_slurm_allocation() {
    let variables =
        [&SLURM[..], &[("SLURM_JOB_CPUS_PER_NODE", "16(x2)"), ("SLURM_MEM_PER_CPU", "2048")]].concat();
    let machine = HostFixture::new(64, 512).with_file("proc/self/status", "Cpus_allowed_list:\t7\n");
    let limits = machine.job_limits(&variables);
    assert_eq!((limits.cpu_share(), &limits.cpu_time_source), (0.25, &CpuTimeSource::WholeMachine));
    assert_eq!(limits.memory_bytes, 32 << 30);
}

#[test]
fn cgroup_v2_path_stops_at_job() {
    let job = "sys/fs/cgroup/system.slice/slurmstepd.scope/job_42";
    let machine = HostFixture::new(32, 256)
        .with_file("proc/self/cgroup", "0::/system.slice/slurmstepd.scope/job_42/step_0/user/task_0\n")
        .with_file(&format!("{job}/cpuset.cpus.effective"), "8-15\n")
        .with_file(&format!("{job}/step_0/user/task_0/cpuset.cpus.effective"), "8\n")
        .with_file(&format!("{job}/memory.max"), "34359738368\n");
    let limits = machine.job_limits(&SLURM);
    assert_eq!((limits.cpu_share(), limits.cpu_time_source), (0.25, cpu_list(8..16)));
    assert_eq!(limits.memory_bytes, 32 << 30);
}

#[test]
fn mpi_bound_rank_gets_job_cpus() {
    let machine = HostFixture::new(8, 16).with_file("proc/self/status", "Cpus_allowed_list:\t5\n");
    assert_eq!(machine.job_limits(&[("OMPI_COMM_WORLD_LOCAL_SIZE", "8")]).cpu_share(), 1.0);
    assert_eq!(machine.job_limits(&[("OMPI_COMM_WORLD_LOCAL_SIZE", "1")]).cpu_share(), 0.125);
    assert_eq!(machine.job_limits(&[("LOCAL_RANK", "5"), ("WORLD_SIZE", "8")]).cpu_share(), 0.125);
}

#[test]
fn cgroup_v1_quota_reads_cpuacct() {
    let machine = HostFixture::new(4, 16)
        .with_file("proc/self/cgroup", "3:cpuacct,cpu:/docker/abc\n2:memory:/docker/abc\n")
        .with_file("sys/fs/cgroup/cpu/cpu.cfs_quota_us", "250000\n")
        .with_file("sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n")
        .with_file("sys/fs/cgroup/cpu/cpuacct.usage", "1500000000\n")
        .with_file("sys/fs/cgroup/memory/memory.limit_in_bytes", "4294967296\n");
    let limits = machine.job_limits(&[]);
    assert_eq!((limits.cpus, limits.memory_bytes), (2.5, 4 << 30));
    let CpuTimeSource::Cgroup(usage) = limits.cpu_time_source else {
        panic!("{:?} is not a control group", limits.cpu_time_source)
    };
    assert_eq!(usage.cpu_seconds(), Some(1.5));
}

#[test]
fn outside_cgroup_path_stays_in_mount() {
    let machine = HostFixture::new(4, 16)
        .with_file("proc/self/cgroup", "0::/../../other\n")
        .with_file("sys/memory.max", "1\n")
        .with_file("sys/fs/cgroup/memory.max", "8589934592\n");
    assert_eq!(machine.job_limits(&[]).memory_bytes, 8 << 30);
}

#[test]
fn lxcfs_container_gets_package_share() {
    let cpuinfo: String =
        (0..4).map(|number| format!("processor\t: {number}\nphysical id\t: 1\nsiblings\t: 64\n\n")).collect();
    // lxcfs renumbers the CPUs; the affinity still has the host's numbers.
    let machine = HostFixture::new(4, 16)
        .with_file("proc/cpuinfo", &cpuinfo)
        .with_file("proc/self/status", "Cpus_allowed_list:\t40-43\n");
    let limits = machine.job_limits(&[]);
    assert_eq!((limits.cpu_share(), limits.cpu_time_source), (0.0625, cpu_list(0..4)));
}

#[test]
fn invalid_text_sets_no_limit() {
    for nonsense in ["", "\n", "x", "-1", "0 0", "1e999 1", "nan nan", "max"] {
        let machine = HostFixture::new(4, 16)
            .with_file("proc/self/cgroup", &format!("{nonsense}\n0::/\n:::\n9:cpu:relative\n"))
            .with_file("proc/self/status", &format!("Cpus_allowed_list:{nonsense}\n"))
            .with_file("sys/fs/cgroup/cpu.max", nonsense)
            .with_file("sys/fs/cgroup/memory.max", nonsense)
            .with_file("sys/fs/cgroup/cpuset.cpus.effective", nonsense);
        let limits = machine.job_limits(&[]);
        assert_eq!((limits.cpu_share(), limits.memory_bytes), (1.0, 16 << 30), "{nonsense:?}");
    }
}

#[test]
fn unreadable_proc_gives_none() {
    for file in ["proc/stat", "proc/meminfo"] {
        let machine = HostFixture::new(4, 16);
        machine.write_file(file, "nonsense\n");
        assert_eq!(machine.detect_limits(&|_| None), None, "{file}");
        machine.remove_file(file);
        assert_eq!(machine.detect_limits(&|_| None), None, "{file}");
    }
    assert_eq!(JobLimits::detect(Path::new("/nowhere"), Path::new("/nowhere")), None);
}
