//! Fields of `/proc/cpuinfo`, which lists `name : value` lines for each logical CPU.

/// A field of the first logical CPU that has it.
pub(crate) fn cpuinfo_field<'a>(cpuinfo: &'a str, name: &str) -> Option<&'a str> {
    cpuinfo_fields(cpuinfo, name).next()
}

/// A field of every logical CPU that has it.
pub(crate) fn cpuinfo_fields<'a>(cpuinfo: &'a str, name: &str) -> impl Iterator<Item = &'a str> {
    cpuinfo.lines().filter_map(move |line| {
        let (field, value) = line.split_once(':')?;
        (field.trim() == name).then(|| value.trim())
    })
}
