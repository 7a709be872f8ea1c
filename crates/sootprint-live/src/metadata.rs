//! The metadata services of the large clouds: where a virtual machine is.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::Deserialize;
use sootprint_core::{Metadata, MetadataError, Place};
use ureq::Agent;
use ureq::http::Response;

/// The address of all of them: link-local, so that no question leaves the machine's own host.
const ENDPOINT: &str = "http://169.254.169.254";

/// What the firmware says of the machine.
const DMI: &str = "/sys/class/dmi/id";

/// For everything together.
const TIME_LIMIT: Duration = Duration::from_secs(1);

/// An identity document has less than a kilobyte.
const LARGEST_REPLY: u64 = 64_000;

/// The asset tag of every virtual machine in Azure; Hyper-V elsewhere and Microsoft's laptops have another.
const AZURE_TAG: &str = "7783-7084-3265-9085-8269-3286-77";

/// Asks the cloud that this machine is in where it is.
///
/// The firmware's tables (DMI) name the vendor, and only that vendor's service is asked: Amazon's (`IMDSv2`), Google's or
/// Microsoft's. It is asked at its link-local address, for the region and nothing else, through no proxy, and without
/// following anybody elsewhere; one second is enough for all of it. A machine that is in none of the three is not asked
/// about at all.
///
/// ```no_run
/// use std::sync::Arc;
///
/// use sootprint_core::Run;
/// use sootprint_live::CloudMetadata;
///
/// let run = Run::pre_training("artifacts/digits").metadata(Arc::new(CloudMetadata::new())).start();
/// ```
///
/// # Limits
/// In a container Amazon's service may be out of reach: its answers do not cross a second network hop unless the machine
/// allows it.
#[derive(Debug, Clone)]
pub struct CloudMetadata {
    dmi: PathBuf,
    endpoint: String,
}

impl CloudMetadata {
    /// Of this machine.
    #[must_use]
    pub fn new() -> Self {
        Self { dmi: PathBuf::from(DMI), endpoint: ENDPOINT.to_owned() }
    }

    /// The folder of the firmware's tables, instead of `/sys/class/dmi/id`.
    #[must_use]
    pub fn dmi(mut self, dir: impl Into<PathBuf>) -> Self {
        self.dmi = dir.into();
        self
    }

    /// Another address that answers as the clouds' do, as in `http://127.0.0.1:8080`.
    #[must_use]
    pub fn endpoint(mut self, url: impl Into<String>) -> Self {
        url.into().trim_end_matches('/').clone_into(&mut self.endpoint);
        self
    }
}

impl Default for CloudMetadata {
    fn default() -> Self {
        Self::new()
    }
}

impl Metadata for CloudMetadata {
    fn place(&self) -> Result<Option<Place>, MetadataError> {
        let Some(vendor) = Vendor::of(&self.dmi) else { return Ok(None) };
        let service = Service { endpoint: &self.endpoint, deadline: Instant::now() + TIME_LIMIT };
        let region = service.region(vendor);
        let region = region.map_err(|what| MetadataError::NoAnswer { provider: vendor.name(), what })?;
        let code = format!("{}:{region}", vendor.code());
        code.parse().map(Some).map_err(|_| MetadataError::UnknownRegion { region: code })
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Vendor {
    Amazon,
    Google,
    Microsoft,
}

impl Vendor {
    /// What the firmware says; none for every other machine.
    fn of(dmi: &Path) -> Option<Self> {
        let said = |name: &str| fs::read_to_string(dmi.join(name)).unwrap_or_default().trim().to_owned();
        match said("sys_vendor").as_str() {
            "Amazon EC2" => Some(Self::Amazon),
            // Amazon's older machines, which run on Xen.
            "Xen" if said("bios_version").ends_with("amazon") => Some(Self::Amazon),
            // A Chromebook is Google's, too.
            "Google" if said("product_name") == "Google Compute Engine" => Some(Self::Google),
            "Microsoft Corporation" if said("chassis_asset_tag") == AZURE_TAG => Some(Self::Microsoft),
            _ => None,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Amazon => "AWS",
            Self::Google => "Google Cloud",
            Self::Microsoft => "Azure",
        }
    }

    const fn code(self) -> &'static str {
        match self {
            Self::Amazon => "aws",
            Self::Google => "gcp",
            Self::Microsoft => "azure",
        }
    }
}

/// One machine's service, until a deadline.
struct Service<'a> {
    endpoint: &'a str,
    deadline: Instant,
}

type Body = ureq::Body;

impl Service<'_> {
    fn region(&self, vendor: Vendor) -> Result<String, String> {
        match vendor {
            Vendor::Amazon => self.amazon(),
            Vendor::Google => self.google(),
            Vendor::Microsoft => self.microsoft(),
        }
    }

    /// `IMDSv2`: a token that is worth nothing elsewhere, then the document.
    fn amazon(&self) -> Result<String, String> {
        #[derive(Deserialize)]
        struct Document {
            region: String,
        }

        let request = self.agent()?.put(format!("{}/latest/api/token", self.endpoint));
        let token = text(request.header("x-aws-ec2-metadata-token-ttl-seconds", "60").send_empty())?;
        let document =
            self.get("/latest/dynamic/instance-identity/document", "x-aws-ec2-metadata-token", token.trim());
        let Document { region } =
            serde_json::from_str(&text(document)?).map_err(|error| error.to_string())?;
        Ok(region)
    }

    /// The zone, whose region is all but its last part: `europe-west10-a` is in `europe-west10`.
    fn google(&self) -> Result<String, String> {
        let reply = self.get("/computeMetadata/v1/instance/zone", "metadata-flavor", "Google");
        if let Ok(reply) = &reply
            && reply.headers().get("metadata-flavor").is_none_or(|flavor| flavor != "Google")
        {
            return Err("what answers is not Google's".to_owned());
        }
        let body = text(reply)?;
        let zone = body.trim().rsplit('/').next().unwrap_or_default();
        let region = zone.rsplit_once('-').map(|(region, _)| region.to_owned());
        region.ok_or_else(|| format!("`{zone}` is no zone"))
    }

    fn microsoft(&self) -> Result<String, String> {
        #[derive(Deserialize)]
        struct Instance {
            compute: Compute,
        }

        #[derive(Deserialize)]
        struct Compute {
            location: String,
        }

        let reply = self.get("/metadata/instance?api-version=2021-02-01", "metadata", "true");
        let Instance { compute } = serde_json::from_str(&text(reply)?).map_err(|error| error.to_string())?;
        Ok(compute.location)
    }

    fn get(&self, path: &str, header: &str, value: &str) -> Result<Response<Body>, ureq::Error> {
        let agent = self.agent().map_err(|what| ureq::Error::Io(std::io::Error::other(what)))?;
        agent.get(format!("{}{path}", self.endpoint)).header(header, value).call()
    }

    fn agent(&self) -> Result<Agent, String> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err("it takes more than a second".to_owned());
        }
        let config = Agent::config_builder().timeout_global(Some(left)).max_redirects(0).proxy(None);
        Ok(config.build().new_agent())
    }
}

fn text(reply: Result<Response<Body>, ureq::Error>) -> Result<String, String> {
    let read =
        |mut reply: Response<Body>| reply.body_mut().with_config().limit(LARGEST_REPLY).read_to_string();
    reply.and_then(read).map_err(|error| error.to_string())
}
