//! The metadata services of the large clouds: where a virtual machine is.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::Deserialize;
use sootprint_core::{CloudMetadata, CloudMetadataError, Place};
use ureq::Agent;
use ureq::http::Response;

/// The address of all of them: link-local, so that no question leaves the machine's own host.
const ENDPOINT: &str = "http://169.254.169.254";

/// What the firmware says of the machine.
const DEFAULT_DMI_DIR: &str = "/sys/class/dmi/id";

/// For everything together.
const TIMEOUT: Duration = Duration::from_secs(1);

/// An identity document has less than a kilobyte.
const MAX_RESPONSE_BYTES: u64 = 64_000;

/// The asset tag of every virtual machine in Azure; Hyper-V elsewhere and Microsoft's laptops have another.
const AZURE_ASSET_TAG: &str = "7783-7084-3265-9085-8269-3286-77";

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
/// use sootprint::Run;
/// use sootprint_live::InstanceMetadataClient;
///
/// let run = Run::pre_training("artifacts/digits").cloud_metadata(Arc::new(InstanceMetadataClient::new())).start();
/// ```
///
/// # Limits
/// In a container Amazon's service may be out of reach: its answers do not cross a second network hop unless the machine
/// allows it.
#[derive(Debug, Clone)]
pub struct InstanceMetadataClient {
    dmi_dir: PathBuf,
    endpoint: String,
}

impl InstanceMetadataClient {
    /// Of this machine.
    #[must_use]
    pub fn new() -> Self {
        Self { dmi_dir: PathBuf::from(DEFAULT_DMI_DIR), endpoint: ENDPOINT.to_owned() }
    }

    /// The folder of the firmware's tables, instead of `/sys/class/dmi/id`.
    #[must_use]
    pub fn dmi_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.dmi_dir = dir.into();
        self
    }

    /// Another address that answers as the clouds' do, as in `http://127.0.0.1:8080`.
    #[must_use]
    pub fn endpoint(mut self, url: impl Into<String>) -> Self {
        url.into().trim_end_matches('/').clone_into(&mut self.endpoint);
        self
    }
}

impl Default for InstanceMetadataClient {
    fn default() -> Self {
        Self::new()
    }
}

impl CloudMetadata for InstanceMetadataClient {
    fn locate(&self) -> Result<Option<Place>, CloudMetadataError> {
        let Some(vendor) = CloudVendor::from_dmi(&self.dmi_dir) else { return Ok(None) };
        let service = MetadataService { endpoint: &self.endpoint, deadline: Instant::now() + TIMEOUT };
        let region = service.query_region(vendor);
        let region = region
            .map_err(|what| CloudMetadataError::Unavailable { provider: vendor.name(), reason: what })?;
        let code = format!("{}:{region}", vendor.code());
        code.parse().map(Some).map_err(|_| CloudMetadataError::UnknownRegion { region: code })
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum CloudVendor {
    Amazon,
    Google,
    Microsoft,
}

impl CloudVendor {
    /// What the firmware says; none for every other machine.
    fn from_dmi(dmi_dir: &Path) -> Option<Self> {
        let read_dmi =
            |name: &str| fs::read_to_string(dmi_dir.join(name)).unwrap_or_default().trim().to_owned();
        match read_dmi("sys_vendor").as_str() {
            "Amazon EC2" => Some(Self::Amazon),
            // Amazon's older machines, which run on Xen.
            "Xen" if read_dmi("bios_version").ends_with("amazon") => Some(Self::Amazon),
            // A Chromebook is Google's, too.
            "Google" if read_dmi("product_name") == "Google Compute Engine" => Some(Self::Google),
            "Microsoft Corporation" if read_dmi("chassis_asset_tag") == AZURE_ASSET_TAG => {
                Some(Self::Microsoft)
            }
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
struct MetadataService<'a> {
    endpoint: &'a str,
    deadline: Instant,
}

type ResponseBody = ureq::Body;

impl MetadataService<'_> {
    fn query_region(&self, vendor: CloudVendor) -> Result<String, String> {
        match vendor {
            CloudVendor::Amazon => self.query_amazon(),
            CloudVendor::Google => self.query_google(),
            CloudVendor::Microsoft => self.query_microsoft(),
        }
    }

    /// `IMDSv2`: a token that is worth nothing elsewhere, then the document.
    fn query_amazon(&self) -> Result<String, String> {
        #[derive(Deserialize)]
        struct AmazonIdentityDocument {
            region: String,
        }

        let request = self.http_agent()?.put(format!("{}/latest/api/token", self.endpoint));
        let token = read_body(request.header("x-aws-ec2-metadata-token-ttl-seconds", "60").send_empty())?;
        let document =
            self.get("/latest/dynamic/instance-identity/document", "x-aws-ec2-metadata-token", token.trim());
        let AmazonIdentityDocument { region } =
            serde_json::from_str(&read_body(document)?).map_err(|error| error.to_string())?;
        Ok(region)
    }

    /// The zone, whose region is all but its last part: `europe-west10-a` is in `europe-west10`.
    fn query_google(&self) -> Result<String, String> {
        let response = self.get("/computeMetadata/v1/instance/zone", "metadata-flavor", "Google");
        if let Ok(reply) = &response
            && reply.headers().get("metadata-flavor").is_none_or(|flavor| flavor != "Google")
        {
            return Err("what answers is not Google's".to_owned());
        }
        let body = read_body(response)?;
        let zone = body.trim().rsplit('/').next().unwrap_or_default();
        let region = zone.rsplit_once('-').map(|(region, _)| region.to_owned());
        region.ok_or_else(|| format!("`{zone}` is no zone"))
    }

    fn query_microsoft(&self) -> Result<String, String> {
        #[derive(Deserialize)]
        struct AzureInstance {
            compute: AzureCompute,
        }

        #[derive(Deserialize)]
        struct AzureCompute {
            location: String,
        }

        let response = self.get("/metadata/instance?api-version=2021-02-01", "metadata", "true");
        let AzureInstance { compute } =
            serde_json::from_str(&read_body(response)?).map_err(|error| error.to_string())?;
        Ok(compute.location)
    }

    fn get(&self, path: &str, header: &str, value: &str) -> Result<Response<ResponseBody>, ureq::Error> {
        let agent = self.http_agent().map_err(|what| ureq::Error::Io(std::io::Error::other(what)))?;
        agent.get(format!("{}{path}", self.endpoint)).header(header, value).call()
    }

    fn http_agent(&self) -> Result<Agent, String> {
        let timeout = self.deadline.saturating_duration_since(Instant::now());
        if timeout.is_zero() {
            return Err("it takes more than a second".to_owned());
        }
        let config = Agent::config_builder().timeout_global(Some(timeout)).max_redirects(0).proxy(None);
        Ok(config.build().new_agent())
    }
}

fn read_body(response: Result<Response<ResponseBody>, ureq::Error>) -> Result<String, String> {
    let read = |mut reply: Response<ResponseBody>| {
        reply.body_mut().with_config().limit(MAX_RESPONSE_BYTES).read_to_string()
    };
    response.and_then(read).map_err(|error| error.to_string())
}
