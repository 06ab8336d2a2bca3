//! Where an array says it lives. All devices are this machine's memory; `cpu(1)`, `cpu(2)` … are distinct names for it,
//! kept because programs split batches over them.

use crate::error::Result;
use std::fmt;

/// A device: its kind and number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Device {
    kind: DeviceKind,
    id: i32,
}

/// Kinds of device, with MXNet's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(i32)]
pub enum DeviceKind {
    /// Ordinary memory.
    Cpu = 1,
    /// Page-locked memory; the same as ordinary memory here.
    CpuPinned = 3,
}

impl Default for Device {
    fn default() -> Self {
        Device::cpu(0)
    }
}

impl Device {
    /// `cpu(id)`.
    pub const fn cpu(id: i32) -> Device {
        Device { kind: DeviceKind::Cpu, id }
    }

    /// From MXNet's device type number and the device's own. Kind 2, a GPU, is refused: there is none.
    pub fn new(kind: i32, id: i32) -> Result<Device> {
        let kind = match kind {
            1 => DeviceKind::Cpu,
            3 => DeviceKind::CpuPinned,
            2 => bail!(Argument, "gpu({id}) is not available, want cpu: Keshi computes on the CPU only"),
            _ => bail!(Argument, "unknown device type, got {kind}, want 1 (cpu) or 3 (cpu_pinned)"),
        };
        Ok(Device { kind, id })
    }

    /// Reads `cpu(0)`, `cpu_pinned(1)`, `cpu`.
    pub fn parse(text: &str) -> Result<Device> {
        let (name, rest) = text.split_once('(').unwrap_or((text, "0)"));
        let id = rest.strip_suffix(')').and_then(|n| n.trim().parse().ok());
        let kind = match name.trim() {
            "cpu" => 1,
            "gpu" => 2,
            "cpu_pinned" => 3,
            _ => 0,
        };
        match (kind, id) {
            (1..=3, Some(id)) => Device::new(kind, id),
            _ => bail!(Argument, "unknown device, got '{text}', want cpu(0) or the like"),
        }
    }

    /// MXNet's number of the kind.
    pub fn kind(self) -> i32 {
        self.kind as i32
    }

    /// The device's own number.
    pub fn id(self) -> i32 {
        self.id
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = if self.kind == DeviceKind::Cpu { "cpu" } else { "cpu_pinned" };
        write!(f, "{name}({})", self.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_read_what_they_write() {
        for d in [Device::cpu(0), Device::cpu(7), Device::new(3, 1).unwrap()] {
            assert_eq!(Device::parse(&d.to_string()).unwrap(), d);
        }
        assert!(Device::parse("gpu(0)").unwrap_err().to_string().contains("CPU only"));
        assert!(Device::parse("tpu").is_err() && Device::parse("cpu(x)").is_err());
    }
}
