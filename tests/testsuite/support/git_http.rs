//! `git http-backend` behind nginx: the bare repositories of a folder, for one user.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use super::{Server, free_port, peer, wait_until};

/// It runs until the value is dropped.
pub(crate) struct HttpServer {
    /// Where the repositories are.
    url: String,
    _servers: Vec<Server>,
}

impl HttpServer {
    /// Serves the repositories in `folder` to `user` with `password`, over TLS with the certificate
    /// and the key in `tls` (PEM) if there are any; returns `None` where nginx or fcgiwrap is not
    /// installed. Its own files are in `folder`, too.
    pub(crate) fn start(
        folder: &Path,
        user: &str,
        password: &str,
        tls: Option<[String; 2]>,
    ) -> Option<Self> {
        let (nginx, fcgiwrap) = (peer("nginx")?, peer("fcgiwrap")?);
        let port = free_port();
        std::fs::write(folder.join("htpasswd"), format!("{user}:{{PLAIN}}{password}\n")).unwrap();
        let scheme = if tls.is_some() { "https" } else { "http" };
        let conf = match tls {
            Some([certificate, key]) => {
                std::fs::write(folder.join("tls.crt"), certificate).unwrap();
                std::fs::write(folder.join("tls.key"), key).unwrap();
                let ssl = " ssl; ssl_certificate tls.crt; ssl_certificate_key tls.key";
                nginx_conf(folder, port, ssl)
            }
            None => nginx_conf(folder, port, ""),
        };
        std::fs::write(folder.join("nginx.conf"), conf).unwrap();
        let workers = (0..WORKERS).map(|number| worker(&fcgiwrap, folder, number));
        let mut servers: Vec<Server> = workers.collect();
        let mut web = Command::new(nginx);
        let prefix = folder.to_str().unwrap();
        web.args(["-p", prefix, "-c", "nginx.conf", "-e", "error.log"]);
        servers.push(Server::start(&mut web, &folder.join("nginx.log")));
        wait_until("nginx", || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok());
        let url = format!("{scheme}://127.0.0.1:{port}");
        Some(Self { url, _servers: servers })
    }

    /// Returns the URL of the repository `name`, without credentials.
    pub(crate) fn url(&self, name: &str) -> String {
        format!("{}/{name}", self.url)
    }
}

/// Each serves one request at a time.
const WORKERS: usize = 6;

fn worker(fcgiwrap: &Path, folder: &Path, number: usize) -> Server {
    let socket = folder.join(format!("fcgi-{number}.socket"));
    let address = format!("unix:{}", socket.display());
    let mut command = Command::new(fcgiwrap);
    let log = folder.join(format!("fcgi-{number}.log"));
    let server = Server::start(command.args(["-f", "-s", &address]), &log);
    wait_until("fcgiwrap", || socket.exists());
    server
}

fn nginx_conf(dir: &Path, port: u16, ssl: &str) -> String {
    let exec = String::from_utf8(Command::new("git").arg("--exec-path").output().unwrap().stdout);
    let exec = exec.unwrap();
    let mut conf = String::from("user root;\ndaemon off;\nmaster_process off;\npid nginx.pid;\n");
    let at = dir.display();
    let workers: String =
        (0..WORKERS).map(|n| format!(" server unix:{at}/fcgi-{n}.socket;")).collect();
    write!(
        conf,
        "events {{}}
http {{
  upstream workers {{ least_conn;{workers} }}
  access_log {at}/access.log;
  client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi;
  uwsgi_temp_path uwsgi; scgi_temp_path scgi; client_max_body_size 0;
  server {{
    listen 127.0.0.1:{port}{ssl};
    auth_basic git; auth_basic_user_file {at}/htpasswd;
    location / {{
      fastcgi_pass workers;
      fastcgi_param SCRIPT_FILENAME {}/git-http-backend;
      fastcgi_param GIT_HTTP_EXPORT_ALL 1;
      fastcgi_param GIT_PROJECT_ROOT {at};
      fastcgi_param PATH_INFO $uri;
      fastcgi_param QUERY_STRING $query_string;
      fastcgi_param REQUEST_METHOD $request_method;
      fastcgi_param CONTENT_TYPE $content_type;
      fastcgi_param CONTENT_LENGTH $content_length;
      fastcgi_param REMOTE_USER $remote_user;
      fastcgi_param GIT_PROTOCOL $http_git_protocol;
      fastcgi_param HTTP_CONTENT_ENCODING $http_content_encoding;
    }}
  }}
}}
",
        exec.trim()
    )
    .unwrap();
    conf
}
