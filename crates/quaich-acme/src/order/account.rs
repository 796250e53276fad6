//! The account at an authority: made once, kept in the state directory.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use base64::Engine;
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use bytes::Bytes;
use http::header::USER_AGENT;
use http::{HeaderValue, Request};
use http_body_util::Full;
use instant_acme::{
    Account, AccountCredentials, BodyWrapper, BytesResponse, ExternalAccountKey, HttpClient,
    NewAccount,
};
use quaich_config::model::{Acme, AcmeEab};
use serde::{Deserialize, Serialize};

use crate::http::Http;
use crate::order::failure::Failure;
use crate::order::retry::again;
use crate::store::{Store, file, plan};
use crate::{Error, Result};

/// `account.json`
#[derive(Serialize, Deserialize)]
struct Kept {
    /// The contact that the authority knows.
    email: Option<String>,
    /// Id, key and directory.
    credentials: AccountCredentials,
}

/// The account of `acme`: the one that is kept in `store`, else a new one.
pub(crate) async fn open(
    acme: &Acme,
    store: &Store,
    http: &Arc<Http>,
) -> std::result::Result<Account, Failure> {
    match plan::read::<Kept>(&store.account()) {
        Ok(Some(kept)) => restore(kept, acme, store, http).await,
        // A file that nobody can read holds an account that nobody can use.
        Ok(None) | Err(_) => create(acme, store, http).await,
    }
}

/// Forgets the account: the authority does not know it.
pub(crate) fn forget(store: &Store) -> Result<()> {
    file::remove(&store.account())
}

async fn restore(
    kept: Kept,
    acme: &Acme,
    store: &Store,
    http: &Arc<Http>,
) -> std::result::Result<Account, Failure> {
    let doing = format!("asking {}", acme.directory);
    let same_contact = kept.email == acme.email;
    let text = serde_json::to_vec(&kept.credentials);
    let account = Account::builder_with_http(client(http))
        .from_credentials(kept.credentials)
        .await
        .map_err(|e| Failure::of(&doing, &e, http))?;
    if same_contact {
        return Ok(account);
    }
    let contact = contact(acme);
    let contact: Vec<&str> = contact.iter().map(String::as_str).collect();
    again!(account.update_contacts(&contact))
        .map_err(|e| Failure::of("changing the contact of the account", &e, http))?;
    if let Ok(Ok(credentials)) = text.map(|text| serde_json::from_slice(&text)) {
        let email = acme.email.clone();
        plan::write(&store.account(), &Kept { email, credentials })?;
    }
    Ok(account)
}

async fn create(
    acme: &Acme,
    store: &Store,
    http: &Arc<Http>,
) -> std::result::Result<Account, Failure> {
    let doing = format!("making an account at {}", acme.directory);
    let binding = acme.eab.as_ref().map(external_key).transpose()?;
    let contact = contact(acme);
    let contact: Vec<&str> = contact.iter().map(String::as_str).collect();
    let new = NewAccount {
        contact: &contact,
        terms_of_service_agreed: true,
        only_return_existing: false,
    };
    let created = again!(Account::builder_with_http(client(http)).create(
        &new,
        acme.directory.clone(),
        binding.as_ref()
    ));
    let (account, credentials) = created.map_err(|e| Failure::of(&doing, &e, http))?;
    let email = acme.email.clone();
    plan::write(&store.account(), &Kept { email, credentials })?;
    Ok(account)
}

fn contact(acme: &Acme) -> Option<String> {
    acme.email.as_ref().map(|email| format!("mailto:{email}"))
}

/// Reads the key of the external account: base64url, with or without padding.
fn external_key(eab: &AcmeEab) -> Result<ExternalAccountKey> {
    let path = eab.key_file.display();
    let text = file::read_text(&eab.key_file)?
        .ok_or_else(|| Error::new(format!("tls.acme.eab.key_file: there is no {path}")))?;
    let key = decode_key(text.trim()).ok_or_else(|| {
        Error::new(format!(
            "tls.acme.eab.key_file: {path} does not hold one base64url key"
        ))
    })?;
    Ok(ExternalAccountKey::new(eab.kid.clone(), &key))
}

fn decode_key(text: &str) -> Option<Vec<u8>> {
    let either =
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let text = text.replace('+', "-").replace('/', "_");
    let key = GeneralPurpose::new(&URL_SAFE, either).decode(text).ok()?;
    (!key.is_empty()).then_some(key)
}

/// Our HTTP client, as the ACME library wants it.
fn client(http: &Arc<Http>) -> Box<dyn HttpClient> {
    Box::new(Client(http.clone()))
}

struct Client(Arc<Http>);

type Answer = std::result::Result<BytesResponse, instant_acme::Error>;

impl HttpClient for Client {
    fn request(
        &self,
        mut request: Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Answer> + Send>> {
        let http = self.0.clone();
        // RFC 8555 §6.1: the client's own name, and the library's.
        let name = HeaderValue::from_static(concat!(
            "quaich/",
            env!("CARGO_PKG_VERSION"),
            " instant-acme"
        ));
        request.headers_mut().insert(USER_AGENT, name);
        Box::pin(async move {
            match http.exchange(request).await {
                Ok(answer) => Ok(BytesResponse::from(answer.map(Full::new))),
                Err(e) => Err(instant_acme::Error::Other(Box::new(e))),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_the_key_as_authorities_print_it() {
        assert_eq!(decode_key("-_8="), decode_key("+/8"));
        assert_eq!(decode_key("-_8").unwrap(), [0xfb, 0xff]);
        assert_eq!(decode_key(""), None);
        assert_eq!(decode_key("two words"), None);
    }
}
