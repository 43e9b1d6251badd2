//! Objects of a repository, many with one request of GraphQL: folders, files and commits.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::GithubError;
use super::branch::Branches;

/// So many objects are asked for at once.
pub(super) const AT_ONCE: usize = 50;

/// Of a text that is longer GitHub tells the beginning.
pub(super) const LONGEST_TEXT: u64 = 512_000;

/// By what an object is named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum By {
    /// A revision, such as `COMMIT:PATH`.
    Expression,
    /// Its id.
    Id,
}

/// What is at one name of a folder.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Entry {
    pub(super) name: String,
    /// As in git, but a number: `0o100644`.
    pub(super) mode: u32,
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) oid: String,
    pub(super) size: u64,
}

#[derive(Deserialize)]
struct Folder {
    /// Left out of what is no folder.
    entries: Option<Vec<Entry>>,
}

#[derive(Deserialize)]
struct Text {
    #[serde(rename = "isTruncated")]
    is_truncated: Option<bool>,
    text: Option<String>,
}

#[derive(Deserialize)]
struct Found<R> {
    repository: BTreeMap<String, Option<R>>,
}

impl Branches {
    /// Returns what is in each of the folders `paths` of the commit, in order; `None` where there is
    /// no folder. Links are not followed.
    pub(super) async fn folders(
        &self,
        commit: &str,
        paths: &[&str],
    ) -> Result<Vec<Option<Vec<Entry>>>, GithubError> {
        let action = format!("list folders of `{}`", self.slug);
        let names: Vec<String> = paths.iter().map(|path| format!("{commit}:{path}")).collect();
        let fields = "... on Tree { entries { name mode type oid size } }";
        let found: Vec<Option<Folder>> =
            self.objects("Folders", &action, By::Expression, fields, &names).await?;
        Ok(found.into_iter().map(|folder| folder?.entries).collect())
    }

    /// Returns each of the files `ids`, in order; `None` where GitHub does not tell it byte by byte: it
    /// is too long, or no UTF-8.
    pub(super) async fn texts(&self, ids: &[String]) -> Result<Vec<Option<Vec<u8>>>, GithubError> {
        let action = format!("read files of `{}`", self.slug);
        let fields = "... on Blob { isTruncated text }";
        let found: Vec<Option<Text>> = self.objects("Files", &action, By::Id, fields, ids).await?;
        let whole = |(text, id): (Option<Text>, &String)| {
            let text = text.filter(|text| text.is_truncated == Some(false))?;
            // What is not UTF-8 GitHub tells with other characters in it, or leaves out.
            text.text.map(String::into_bytes).filter(|bytes| is_object(bytes, id))
        };
        Ok(found.into_iter().zip(ids).map(whole).collect())
    }

    /// Returns the `fields` of each of the objects `names`, in order; `None` where there is none.
    pub(super) async fn objects<R: DeserializeOwned>(
        &self,
        operation: &str,
        action: &str,
        by: By,
        fields: &str,
        names: &[String],
    ) -> Result<Vec<Option<R>>, GithubError> {
        let mut all = Vec::with_capacity(names.len());
        for some in names.chunks(AT_ONCE) {
            let (document, variables) = self.document(operation, by, fields, some);
            let mut found: Found<R> =
                self.client.graphql(&self.slug, action, &document, variables).await?;
            all.extend(
                (0..some.len()).map(|n| found.repository.remove(&format!("o{n}")).flatten()),
            );
        }
        Ok(all)
    }

    /// Returns a query for the objects `names`, which are values of variables: nothing in them is read
    /// as a part of the query.
    fn document(&self, operation: &str, by: By, fields: &str, names: &[String]) -> (String, Value) {
        let (argument, kind) = match by {
            By::Expression => ("expression", "String!"),
            By::Id => ("oid", "GitObjectID!"),
        };
        let (mut stated, mut asked) = (String::new(), String::new());
        let mut variables = Map::new();
        variables.insert("owner".to_owned(), self.slug.owner().into());
        variables.insert("name".to_owned(), self.slug.name().into());
        for (n, name) in names.iter().enumerate() {
            stated.push_str(&format!(", $n{n}: {kind}"));
            asked.push_str(&format!("    o{n}: object({argument}: $n{n}) {{ {fields} }}\n"));
            variables.insert(format!("n{n}"), name.as_str().into());
        }
        let document = format!(
            "query {operation}($owner: String!, $name: String!{stated}) {{\n  \
             repository(owner: $owner, name: $name) {{\n{asked}  }}\n}}"
        );
        (document, variables.into())
    }
}

/// Returns whether `bytes` are those of the file `id`.
pub(super) fn is_object(bytes: &[u8], id: &str) -> bool {
    let hashed = git2::Oid::hash_object(git2::ObjectType::Blob, bytes);
    hashed.is_ok_and(|hashed| hashed.to_string() == id)
}
