//! Reading objects of any kind: where the API server keeps a kind, one object, a bounded list.

use std::collections::HashMap;
use std::sync::Mutex;

use kube::Client;
use kube::api::{GetParams, ListParams, Patch, PatchParams};
use kube::core::Request;
use serde_json::{Value, json};

use super::error::explain;
use crate::cluster::ClusterError;
use crate::k8s::Object;

/// How many objects of one kind are read at most; a rollout that is larger is judged by its part.
const MOST: usize = 5000;
const PAGE: u32 = 500;

/// The API server, as it is asked.
pub(super) struct Api {
    client: Client,
    server: String,
    kinds: Mutex<HashMap<(String, String), Place>>,
}

/// Where the API server keeps a kind.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    plural: String,
    is_namespaced: bool,
}

/// A kind and the namespace that it is looked for in.
#[derive(Debug, Clone, Copy)]
pub(super) struct Kind<'a> {
    pub(super) api_version: &'a str,
    pub(super) kind: &'a str,
    pub(super) namespace: &'a str,
}

/// Which objects of a kind.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Selector<'a> {
    pub(super) labels: Option<&'a str>,
    pub(super) fields: Option<&'a str>,
}

impl Api {
    pub(super) fn new(client: Client, server: String) -> Self {
        Self { client, server, kinds: Mutex::default() }
    }

    pub(super) fn server(&self) -> &str {
        &self.server
    }

    /// Returns the object `name`, or `None` if it is not there.
    ///
    /// # Errors
    ///
    /// Fails with [`ClusterError::UnknownKind`] if the cluster does not know the kind.
    pub(super) async fn get(
        &self,
        kind: Kind<'_>,
        name: &str,
    ) -> Result<Option<Object>, ClusterError> {
        let place = self.place(kind).await?;
        let request = Request::new(path(kind, &place)).get(name, &GetParams::default());
        let verb = format!("get {}", described(kind, &place, Some(name)));
        let request = request.map_err(kube::Error::BuildRequest);
        let answer = match request {
            Ok(request) => self.client.request::<Value>(request).await,
            Err(error) => Err(error),
        };
        match answer {
            Ok(value) => Ok(read(value, kind)),
            Err(error) if is_not_found(&error) => Ok(None),
            Err(error) => Err(explain(&self.server, &verb, error)),
        }
    }

    /// Returns the objects that `selector` matches, in the API server's order.
    ///
    /// # Errors
    ///
    /// As [`Api::get`].
    pub(super) async fn list(
        &self,
        kind: Kind<'_>,
        selector: Selector<'_>,
    ) -> Result<Vec<Object>, ClusterError> {
        let place = self.place(kind).await?;
        let verb = format!("list {}", described(kind, &place, None));
        let mut params = ListParams::default().limit(PAGE);
        params.label_selector = selector.labels.map(str::to_owned);
        params.field_selector = selector.fields.map(str::to_owned);
        let mut objects = Vec::new();
        loop {
            let page = self.page(&path(kind, &place), &params).await;
            let mut page = page.map_err(|error| explain(&self.server, &verb, error))?;
            if let Some(Value::Array(items)) = page.get_mut("items").map(Value::take) {
                objects.extend(items.into_iter().filter_map(|item| read(item, kind)));
            }
            let token = page.pointer("/metadata/continue").and_then(Value::as_str);
            match token.filter(|token| !token.is_empty() && objects.len() < MOST) {
                Some(token) => params.continue_token = Some(token.to_owned()),
                None => return Ok(objects),
            }
        }
    }

    /// Sets an annotation by a merge patch that holds nothing else.
    ///
    /// # Errors
    ///
    /// As [`Api::get`]; and if there is no such object.
    pub(super) async fn annotate(
        &self,
        kind: Kind<'_>,
        name: &str,
        (key, value): (&str, &str),
    ) -> Result<(), ClusterError> {
        let place = self.place(kind).await?;
        let verb = format!("patch {}", described(kind, &place, Some(name)));
        let patch = Patch::Merge(json!({"metadata": {"annotations": {key: value}}}));
        let request = Request::new(path(kind, &place)).patch(name, &PatchParams::default(), &patch);
        let answer = match request.map_err(kube::Error::BuildRequest) {
            Ok(request) => self.client.request::<Value>(request).await,
            Err(error) => Err(error),
        };
        answer.map(drop).map_err(|error| explain(&self.server, &verb, error))
    }

    async fn page(&self, path: &str, params: &ListParams) -> Result<Value, kube::Error> {
        let request = Request::new(path).list(params).map_err(kube::Error::BuildRequest)?;
        self.client.request::<Value>(request).await
    }

    // A kind that is not known is asked for again: a CRD may be installed while deployctl waits.
    async fn place(&self, kind: Kind<'_>) -> Result<Place, ClusterError> {
        let key = (kind.api_version.to_owned(), kind.kind.to_owned());
        let known = self.kinds.lock().expect("no thread panics with the lock").get(&key).cloned();
        if let Some(place) = known {
            return Ok(place);
        }
        let resources = match kind.api_version.contains('/') {
            true => self.client.list_api_group_resources(kind.api_version).await,
            false => self.client.list_core_api_resources(kind.api_version).await,
        };
        let (api_version, name) = key.clone();
        let unknown = ClusterError::UnknownKind { api_version, kind: name };
        let resources = match resources {
            Ok(list) => list.resources,
            Err(error) if is_not_found(&error) => return Err(unknown),
            Err(error) => {
                let verb = format!("list the kinds of `{}`", kind.api_version);
                return Err(explain(&self.server, &verb, error));
            }
        };
        let is_it = |resource: &&k8s_openapi::apimachinery::pkg::apis::meta::v1::APIResource| {
            resource.kind == kind.kind && !resource.name.contains('/')
        };
        let resource = resources.iter().find(is_it).ok_or(unknown)?;
        let place = Place { plural: resource.name.clone(), is_namespaced: resource.namespaced };
        let mut kinds = self.kinds.lock().expect("no thread panics with the lock");
        kinds.insert(key, place.clone());
        Ok(place)
    }
}

fn path(kind: Kind<'_>, place: &Place) -> String {
    let root = if kind.api_version.contains('/') { "apis" } else { "api" };
    let (version, plural) = (kind.api_version, &place.plural);
    match place.is_namespaced {
        true => format!("/{root}/{version}/namespaces/{}/{plural}", kind.namespace),
        false => format!("/{root}/{version}/{plural}"),
    }
}

fn described(kind: Kind<'_>, place: &Place, name: Option<&str>) -> String {
    let group = kind.api_version.rsplit_once('/').map(|(group, _)| format!(".{group}"));
    let what = format!("{}{}", place.plural, group.unwrap_or_default());
    let name = name.map(|name| format!(" `{name}`")).unwrap_or_default();
    match place.is_namespaced {
        true => format!("{what}{name} in namespace `{}`", kind.namespace),
        false => format!("{what}{name}"),
    }
}

// The items of a list lack the kind; managed fields are of no use here and often the larger half.
fn read(mut value: Value, kind: Kind<'_>) -> Option<Object> {
    let map = value.as_object_mut()?;
    if let Some(metadata) = map.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.shift_remove("managedFields");
    }
    map.entry("apiVersion").or_insert_with(|| kind.api_version.into());
    map.entry("kind").or_insert_with(|| kind.kind.into());
    Object::new(value)
}

fn is_not_found(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 404)
}
