//! The region of a virtual machine, from the metadata service of its cloud.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::Deserialize;
use sootprint_core::{CloudMetadata, CloudMetadataError, Place};
use ureq::Agent;
use ureq::http::Response;

/// The link-local address of all services; requests do not leave the host.
const ENDPOINT: &str = "http://169.254.169.254";

/// The firmware's description of the machine.
const DEFAULT_DMI_DIR: &str = "/sys/class/dmi/id";

/// The time limit for all requests.
const TIMEOUT: Duration = Duration::from_secs(1);

/// The size limit of a response; an identity document is smaller than 1 kB.
const MAX_RESPONSE_BYTES: u64 = 64_000;

/// The asset tag of every virtual machine in Azure. Other Hyper-V machines and Microsoft laptops have another one.
const AZURE_ASSET_TAG: &str = "7783-7084-3265-9085-8269-3286-77";

/// Looks up the cloud region of this machine in the instance metadata service.
///
/// The firmware's tables (DMI) name the vendor, and only that vendor's service is queried: Amazon (`IMDSv2`), Google
/// or Microsoft. The requests go to the service's link-local address, ask for the region only, use no proxy and
/// follow no redirects. The time limit is one second in total. On a machine of another vendor, no request is sent.
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
/// Amazon's service may be unreachable from a container, because its responses do not cross a second network hop unless
/// the instance allows it.
#[derive(Debug, Clone)]
pub struct InstanceMetadataClient {
    dmi_dir: PathBuf,
    endpoint: String,
}

impl InstanceMetadataClient {
    /// Creates a client that reads the firmware's tables of this machine and queries its metadata service.
    #[must_use]
    pub fn new() -> Self {
        Self { dmi_dir: PathBuf::from(DEFAULT_DMI_DIR), endpoint: ENDPOINT.to_owned() }
    }

    /// Sets the folder of the firmware's tables, instead of `/sys/class/dmi/id`.
    #[must_use]
    pub fn dmi_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.dmi_dir = dir.into();
        self
    }

    /// Sets the address of another server with the same API, as in `http://127.0.0.1:8080`.
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
        let region = service
            .query_region(vendor)
            .map_err(|reason| CloudMetadataError::Unavailable { provider: vendor.name(), reason })?;
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
    /// The vendor that the firmware names; `None` for other machines.
    fn from_dmi(dmi_dir: &Path) -> Option<Self> {
        let read_dmi =
            |name: &str| fs::read_to_string(dmi_dir.join(name)).unwrap_or_default().trim().to_owned();
        match read_dmi("sys_vendor").as_str() {
            "Amazon EC2" => Some(Self::Amazon),
            // Older instance types of Amazon run on Xen.
            "Xen" if read_dmi("bios_version").ends_with("amazon") => Some(Self::Amazon),
            // A Chromebook also has the vendor Google.
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

/// The metadata service, with a deadline for all requests.
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

    /// `IMDSv2`: requests a session token, then the identity document.
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

    /// Requests the zone. The region is the zone without its last part: `europe-west10-a` is in `europe-west10`.
    fn query_google(&self) -> Result<String, String> {
        let response = self.get("/computeMetadata/v1/instance/zone", "metadata-flavor", "Google");
        if let Ok(response) = &response
            && response.headers().get("metadata-flavor").is_none_or(|flavor| flavor != "Google")
        {
            return Err("the response is not Google's".to_owned());
        }
        let body = read_body(response)?;
        let zone = body.trim().rsplit('/').next().unwrap_or_default();
        let region = zone.rsplit_once('-').map(|(region, _)| region.to_owned());
        region.ok_or_else(|| format!("invalid zone `{zone}`"))
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
        let agent = self.http_agent().map_err(|reason| ureq::Error::Io(std::io::Error::other(reason)))?;
        agent.get(format!("{}{path}", self.endpoint)).header(header, value).call()
    }

    fn http_agent(&self) -> Result<Agent, String> {
        let timeout = self.deadline.saturating_duration_since(Instant::now());
        if timeout.is_zero() {
            return Err("no response within one second".to_owned());
        }
        let config = Agent::config_builder().timeout_global(Some(timeout)).max_redirects(0).proxy(None);
        Ok(config.build().new_agent())
    }
}

fn read_body(response: Result<Response<ResponseBody>, ureq::Error>) -> Result<String, String> {
    let read = |mut response: Response<ResponseBody>| {
        response.body_mut().with_config().limit(MAX_RESPONSE_BYTES).read_to_string()
    };
    response.and_then(read).map_err(|error| error.to_string())
}
