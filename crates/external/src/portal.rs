//! What the open data portals of the Korean government have in common (data.go.kr, safetydata.go.kr): keys and errors.
//!
//! Source: "공공데이터포털 Open API 에러 코드" (the guide of error codes of data.go.kr).

use serde_json::Value;

use crate::{ProviderError, Result};

/// A key as it goes into a query, where it is encoded: the portals show each key twice, plain and percent-encoded, and people
/// copy either. A plain one has no `%` (it is Base64).
pub fn plain_key(key: &str) -> String {
    let key = key.trim();
    let mut decoded = Vec::with_capacity(key.len());
    let mut rest = key.as_bytes();
    while let Some((&first, behind)) = rest.split_first() {
        let code = (first == b'%').then(|| behind.get(..2)).flatten();
        let code = code.and_then(|digits| std::str::from_utf8(digits).ok());
        if let Some(byte) = code.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            decoded.push(byte);
            rest = &behind[2..];
        } else {
            decoded.push(first);
            rest = behind;
        }
    }
    String::from_utf8(decoded).unwrap_or_else(|_| key.to_owned())
}

/// In case a service repeats the key where it refuses it.
pub fn hide(error: ProviderError, key: &str) -> ProviderError {
    let hidden = |text: String| if key.is_empty() { text } else { text.replace(key, "***") };
    match error {
        ProviderError::Key(reason) => ProviderError::Key(hidden(reason)),
        ProviderError::Quota(reason) => ProviderError::Quota(hidden(reason)),
        ProviderError::Refused { status, reason } => ProviderError::Refused { status, reason: hidden(reason) },
        other => other,
    }
}

/// The JSON of an answer with a good HTTP status; the portals put their own errors into one, as JSON or as XML.
pub fn json(body: &[u8]) -> Result<Value> {
    let text = std::str::from_utf8(body).map_err(|_| ProviderError::Malformed("the answer is not UTF-8".into()))?;
    let text = text.trim_start_matches('\u{feff}').trim();
    if text.starts_with('<') {
        return Err(xml_error(text));
    }
    serde_json::from_str(text).map_err(|error| {
        // The error's own text can hold a piece of the answer.
        ProviderError::Malformed(format!("the answer is not JSON (line {}, column {})", error.line(), error.column()))
    })
}

/// Whether the head of an answer (`resultCode`, `resultMsg`) says that all is well.
pub fn check(header: &Value) -> Result<()> {
    let code = match &header["resultCode"] {
        Value::String(code) => code.trim().to_owned(),
        Value::Number(code) => code.to_string(),
        _ => return Err(ProviderError::Malformed("the answer has no result code".into())),
    };
    let message = header["resultMsg"].as_str().or(header["errorMsg"].as_str()).unwrap_or_default();
    match code.trim_start_matches('0') {
        "" => Ok(()),
        _ => Err(error(&code, message)),
    }
}

/// `<OpenAPI_ServiceResponse><cmmMsgHeader>..`, which comes instead of JSON when the portal itself refuses.
fn xml_error(text: &str) -> ProviderError {
    let element = |name: &str| {
        let (_, behind) = text.split_once(&format!("<{name}>"))?;
        Some(behind.split_once('<')?.0.trim())
    };
    match element("returnReasonCode").or_else(|| element("resultCode")) {
        Some(code) => {
            let message = element("returnAuthMsg").or_else(|| element("resultMsg")).or_else(|| element("errMsg"));
            error(code, message.unwrap_or_default())
        }
        None => ProviderError::Malformed("the answer is XML, not JSON".into()),
    }
}

/// A code of the portals' list.
fn error(code: &str, message: &str) -> ProviderError {
    let message: String = message.chars().filter(|character| !character.is_control()).take(100).collect();
    let reason = format!("{code} {message}").trim().to_owned();
    match code.trim_start_matches('0') {
        "3" => ProviderError::Nothing,
        "20" | "21" | "30" | "31" | "32" | "33" => ProviderError::Key(reason),
        "22" => ProviderError::Quota(reason),
        // Their own faults: application, database, HTTP, time-out, unknown.
        "1" | "2" | "4" | "5" | "99" => ProviderError::Refused { status: 500, reason },
        "23" => ProviderError::Refused { status: 429, reason },
        _ => ProviderError::Refused { status: 200, reason },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_the_same_plain_and_encoded() {
        let plain = "ab+c/d1e==";
        for key in [plain, "ab%2Bc%2Fd1e%3D%3D", "ab%2bc%2fd1e%3d%3d", " ab+c/d1e== \n"] {
            assert_eq!(plain_key(key), plain, "{key}");
        }
        for odd in ["%", "%2", "%zz", "100%", "%E"] {
            assert_eq!(plain_key(odd), odd);
        }
        assert_eq!(plain_key("%ff"), "%ff", "no text");
    }
}
