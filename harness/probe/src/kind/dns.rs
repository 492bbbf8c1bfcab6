//! Questions to a name server by UDP, with no cache and no second try in between.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use ferry_record::event::Failure;
use futures::future::BoxFuture;
use hickory_proto::op::{Message, MessageType, Query, ResponseCode};
use hickory_proto::rr::{Name, RecordType};
use serde::{Deserialize, Serialize};
use tokio::net::UdpSocket;

use super::{Kind, Miss, blame};
use crate::spec::{Connection, SpecError};

/// Where the system's name servers are written.
const RESOLV_CONF: &str = "/etc/resolv.conf";

/// The port of name servers.
const PORT: u16 = 53;

/// The largest datagram that is taken, which is the largest there is.
const MAX_ANSWER: usize = 1 << 16;

/// A question for the IPv4 addresses of a name, which succeeds when there is one.
///
/// [`Connection::New`] asks from another port each time, as most resolvers do; [`Connection::Reused`] keeps the port until
/// a question fails, which shows what connection tracking remembers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DnsSpec {
    /// The full name: no search list is tried.
    pub name: String,
    /// `address[:port]` of the name server; the first of /etc/resolv.conf when there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
}

/// A question, ready to be asked.
#[derive(Debug)]
pub(crate) struct Dns {
    target: String,
    query: Query,
    server: SocketAddr,
    connection: Connection,
    /// Sockets that wait for the next question.
    idle: Mutex<Vec<UdpSocket>>,
}

impl Dns {
    /// Makes a [`DnsSpec`] ready; `probe` is for the error message.
    ///
    /// # Errors
    /// A name that is none, a server that is none, or none in /etc/resolv.conf.
    pub fn new(probe: &str, spec: &DnsSpec, connection: Connection) -> Result<Self, SpecError> {
        let wrong = |reason: String| SpecError::Name { probe: probe.into(), name: spec.name.clone(), reason };
        let mut name = Name::from_utf8(&spec.name).map_err(|_| wrong("that is no domain name".into()))?;
        name.set_fqdn(true);
        let server = match &spec.server {
            Some(server) => address(server).ok_or_else(|| wrong(format!("{server:?} is no address of a server")))?,
            None => {
                let text = fs_err::read_to_string(RESOLV_CONF).map_err(|error| wrong(error.to_string()))?;
                first_server(&text).ok_or_else(|| wrong(format!("there is no server in {RESOLV_CONF}")))?
            }
        };
        Ok(Self {
            target: format!("resolve {} at {server}", spec.name),
            query: Query::query(name, RecordType::A),
            server,
            connection,
            idle: Mutex::default(),
        })
    }

    async fn resolve(&self) -> Result<(), Miss> {
        let kept = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let socket = match kept {
            Some(socket) => socket,
            None => self.open().await.map_err(|error| blame::io(&error))?,
        };
        let answer = self.exchange(&socket).await?;
        if self.connection == Connection::Reused {
            self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(socket);
        }
        match answer.metadata.response_code {
            ResponseCode::NoError | ResponseCode::NXDomain => {
                let found = answer.answers.iter().any(|record| record.data.record_type() == RecordType::A);
                if found { Ok(()) } else { Err(Miss::Failed(Failure::Dns)) }
            }
            other => Err(Miss::Failed(Failure::Other(other.to_str().into()))),
        }
    }

    async fn open(&self) -> std::io::Result<UdpSocket> {
        let any: IpAddr = match self.server {
            SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        let socket = UdpSocket::bind((any, 0)).await?;
        // Only this server is heard then, and a refusal reaches us.
        socket.connect(self.server).await?;
        Ok(socket)
    }

    /// One datagram out, the one that answers it in.
    async fn exchange(&self, socket: &UdpSocket) -> Result<Message, Miss> {
        let mut question = Message::query();
        question.metadata.recursion_desired = true;
        question.add_query(self.query.clone());
        let packet = question.to_vec().map_err(|error| Miss::Local(error.to_string()))?;
        socket.send(&packet).await.map_err(|error| blame::io(&error))?;
        let mut buffer = vec![0; MAX_ANSWER];
        loop {
            let length = socket.recv(&mut buffer).await.map_err(|error| blame::io(&error))?;
            let answer = Message::from_vec(&buffer[..length])
                .map_err(|error| Miss::Failed(Failure::Body(format!("{length} bytes that are no answer: {error}"))))?;
            let ours = answer.metadata.id == question.metadata.id
                && answer.metadata.message_type == MessageType::Response
                && answer.queries == question.queries;
            // Another one is to an earlier question that nobody waits for any more.
            if ours {
                return Ok(answer);
            }
        }
    }
}

/// Reads `address[:port]`.
fn address(text: &str) -> Option<SocketAddr> {
    text.parse().or_else(|_| text.parse().map(|ip: IpAddr| SocketAddr::new(ip, PORT))).ok()
}

/// The first name server of a resolv.conf (resolv.conf(5)).
fn first_server(text: &str) -> Option<SocketAddr> {
    text.lines().find_map(|line| {
        let mut words = line.split_whitespace();
        words.next().filter(|word| *word == "nameserver")?;
        address(words.next()?)
    })
}

impl Kind for Dns {
    fn target(&self) -> String {
        self.target.clone()
    }

    fn ask(self: Arc<Self>) -> BoxFuture<'static, Result<(), Miss>> {
        Box::pin(async move { self.resolve().await })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::time::Duration;

    use hickory_proto::rr::rdata::{A, CNAME};
    use hickory_proto::rr::{RData, Record};
    use rstest::rstest;
    use tokio::sync::watch;
    use tokio::time::timeout;

    use super::*;

    /// What a name server says to a question.
    #[derive(Debug, Clone, Copy)]
    enum Reply {
        Address,
        /// An alias, and the address of what it is for.
        Alias,
        AliasOfNothing,
        Nothing,
        Code(ResponseCode),
        /// The answer to another question first.
        Stray,
        Garbage,
        Silence,
    }

    /// Serves until the test ends; tells from which ports it was asked.
    async fn server(reply: Reply) -> (SocketAddr, watch::Receiver<HashSet<u16>>) {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        let (tell, asked) = watch::channel(HashSet::new());
        tokio::spawn(async move {
            let mut buffer = [0; 512];
            loop {
                let (length, from) = socket.recv_from(&mut buffer).await.unwrap();
                tell.send_if_modified(|ports| ports.insert(from.port()));
                let question = Message::from_vec(&buffer[..length]).unwrap();
                for packet in packets(reply, question) {
                    socket.send_to(&packet, from).await.unwrap();
                }
            }
        });
        (address, asked)
    }

    fn packets(reply: Reply, question: Message) -> Vec<Vec<u8>> {
        let name = question.queries[0].name.clone();
        let other = Name::from_utf8("other.test.").unwrap();
        let mut answer = question.into_response();
        let address = |name: &Name| Record::from_rdata(name.clone(), 5, RData::A(A::new(10, 96, 0, 1)));
        let alias = Record::from_rdata(name.clone(), 5, RData::CNAME(CNAME(other.clone())));
        match reply {
            Reply::Address => drop(answer.add_answer(address(&name))),
            Reply::Alias => drop(answer.add_answers([alias, address(&other)])),
            Reply::AliasOfNothing => drop(answer.add_answer(alias)),
            Reply::Nothing => {}
            Reply::Code(code) => answer.metadata.response_code = code,
            Reply::Stray => {
                let mut stray = answer.clone();
                stray.metadata.id ^= 1;
                answer.add_answer(address(&name));
                return vec![stray.to_vec().unwrap(), answer.to_vec().unwrap()];
            }
            Reply::Garbage => return vec![b"what".to_vec()],
            Reply::Silence => return vec![],
        }
        vec![answer.to_vec().unwrap()]
    }

    fn dns(server: SocketAddr, connection: Connection) -> Arc<Dns> {
        let spec = DnsSpec { name: "web.apps.svc.cluster.local".into(), server: Some(server.to_string()) };
        Arc::new(Dns::new("p", &spec, connection).unwrap())
    }

    #[rstest]
    #[case::address(Reply::Address, Ok(()))]
    #[case::alias(Reply::Alias, Ok(()))]
    #[case::alias_of_nothing(Reply::AliasOfNothing, Err(Failure::Dns))]
    #[case::no_address(Reply::Nothing, Err(Failure::Dns))]
    #[case::no_such_name(Reply::Code(ResponseCode::NXDomain), Err(Failure::Dns))]
    #[case::server_failed(Reply::Code(ResponseCode::ServFail), Err(Failure::Other("Server Failure".into())))]
    #[case::server_refused(Reply::Code(ResponseCode::Refused), Err(Failure::Other("Query Refused".into())))]
    #[case::stray(Reply::Stray, Ok(()))]
    #[tokio::test]
    async fn answers(
        #[case] reply: Reply,
        #[case] expected: Result<(), Failure>,
        #[values(Connection::New, Connection::Reused)] connection: Connection,
    ) {
        let (server, asked) = server(reply).await;
        let dns = dns(server, connection);
        for _ in 0..5 {
            assert_eq!(Arc::clone(&dns).ask().await, expected.clone().map_err(Miss::Failed));
        }
        match connection {
            Connection::Reused => assert_eq!(asked.borrow().len(), 1),
            // The system gives ports at random, so some may come twice.
            Connection::New => assert!(asked.borrow().len() > 1),
        }
    }

    #[tokio::test]
    async fn garbage_is_no_answer() {
        let answer = dns(server(Reply::Garbage).await.0, Connection::New).ask().await;
        assert!(matches!(&answer, Err(Miss::Failed(Failure::Body(why))) if why.starts_with("4 bytes")), "{answer:?}");
    }

    #[tokio::test]
    async fn silence_is_waited_out_and_its_port_given_up() {
        let (server, asked) = server(Reply::Silence).await;
        let dns = dns(server, Connection::Reused);
        for _ in 0..2 {
            assert!(timeout(Duration::from_millis(50), Arc::clone(&dns).ask()).await.is_err());
        }
        assert!(dns.idle.lock().unwrap().is_empty());
        assert!(!asked.borrow().is_empty());
    }

    #[tokio::test]
    async fn nobody_listens() {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        drop(socket);
        assert_eq!(dns(address, Connection::New).ask().await, Err(Miss::Failed(Failure::Refused)));
    }

    #[rstest]
    #[case::usual("# comment\nsearch apps.svc\nnameserver 10.96.0.10\nnameserver 1.1.1.1\n", Some("10.96.0.10:53"))]
    #[case::ipv6("nameserver fd00::a\n", Some("[fd00::a]:53"))]
    #[case::none("search apps.svc\n;nameserver 10.96.0.10\n", None)]
    fn finds_the_first_server(#[case] text: &str, #[case] expected: Option<&str>) {
        assert_eq!(first_server(text).map(|server| server.to_string()).as_deref(), expected);
    }

    #[rstest]
    #[case::name("a..b", "10.96.0.10", "that is no domain name")]
    #[case::server("web", "kube-dns", "\"kube-dns\" is no address of a server")]
    fn refuses(#[case] name: &str, #[case] server: &str, #[case] reason: &str) {
        let spec = DnsSpec { name: name.into(), server: Some(server.into()) };
        let error = Dns::new("p", &spec, Connection::New).unwrap_err();
        assert_eq!(error.to_string(), format!("probe p: cannot resolve {name:?}: {reason}"));
    }
}
