//! Certificates of accounts, by the program `openssl`.

use std::path::PathBuf;
use std::process::Command;

use crate::failure::{Result, ensure};

/// Makes a certificate that is valid for so many days, and its key.
pub fn make(name: &str, days: &str) -> Result<(PathBuf, PathBuf)> {
    let file = |kind: &str| std::env::temp_dir().join(format!("certificate-{name}-{}.{kind}", std::process::id()));
    let (certificate, key) = (file("pem"), file("key"));
    let request = file("csr");
    let curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", "/CN=pbx"];
    openssl(Command::new("openssl").arg("req").args(curve).arg("-keyout").arg(&key).arg("-out").arg(&request))?;
    let mut sign = Command::new("openssl");
    sign.args(["x509", "-req", "-days", days, "-in"]).arg(&request).arg("-signkey").arg(&key);
    openssl(sign.arg("-out").arg(&certificate))?;
    Ok((certificate, key))
}

fn openssl(command: &mut Command) -> Result {
    let output = command.output()?;
    ensure(output.status.success(), || String::from_utf8_lossy(&output.stderr).into_owned())
}
