//! The private MariaDB: it comes up, survives what a test does to it, and leaves nothing behind.

use std::{
    env,
    io::{BufRead, BufReader, Read},
    net::{Ipv4Addr, TcpStream},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use carebot_testkit::mariadb::{Options, Server, shared};

/// Set in the copy of this program that [`it_dies_with_a_test_that_is_killed`] starts and kills.
const VICTIM: &str = "CAREBOT_TEST_VICTIM";

fn small() -> Options {
    Options { buffer_pool_mib: 16, redo_log_mib: 8, ..Options::default() }
}

fn runs(pid: u32) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
}

/// A connection that the server will close only by dying: it waits for our half of the handshake.
fn open_connection(port: u16) -> TcpStream {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect("the server accepts connections");
    stream.read_exact(&mut [0; 5]).expect("the server greets");
    stream
}

#[test]
fn answered_rows_survive_a_kill_and_nothing_survives_the_server() {
    for durable in [false, true] {
        let server = Server::start(Options { durable, ..small() }).expect("it starts");
        let port = server.port();
        server.execute("CREATE DATABASE a; CREATE TABLE a.t (n INT) ENGINE=InnoDB").expect("a table is made");
        server.execute("INSERT INTO a.t VALUES (41), (42)").expect("rows are written");
        let first = server.pid().expect("it runs");

        server.kill9().expect("it is killed");
        assert_eq!(server.pid(), None);
        assert!(!runs(first));
        assert!(server.execute("SELECT 1").is_err(), "nobody answers any more");
        server.kill9().expect("killing the dead is no error");

        server.restart().expect("it starts again");
        let second = server.pid().expect("it runs again");
        assert_ne!(first, second);
        assert_eq!(server.port(), port);
        assert_eq!(server.execute("SELECT n FROM a.t ORDER BY n").expect("it answers"), "41\n42\n");

        server.stop().expect("it stops");
        assert!(!runs(second));
        server.restart().expect("it starts a third time");
        assert_eq!(server.execute("SELECT COUNT(*) FROM a.t").expect("it answers"), "2\n");

        let (third, folder) = (server.pid().expect("it runs"), server.folder().to_owned());
        drop(server);
        assert!(!runs(third));
        assert!(!folder.exists());
    }
}

#[test]
fn its_settings_are_those_a_stranger_might_have() {
    let server = shared();
    let settings = server
        .execute("SELECT @@character_set_server, @@max_connections, @@innodb_flush_log_at_trx_commit, CURRENT_USER()")
        .expect("it answers");
    assert_eq!(settings, "latin1\t500\t2\tcarebot@%\n");
    assert_eq!(server.url("s"), format!("mariadb://carebot:{}@127.0.0.1:{}/s", server.password(), server.port()));
    assert!(std::ptr::eq(server, shared()), "one for the whole process");
    for user in ["root", "", "nobody"] {
        let refusal = Command::new("mariadb")
            .args(["--no-defaults", "--host=127.0.0.1", "--protocol=tcp", "--execute=SELECT 1"])
            .args([format!("--port={}", server.port()), format!("--user={user}")])
            .output()
            .expect("the client program runs");
        let refusal = String::from_utf8_lossy(&refusal.stderr).into_owned();
        assert!(refusal.contains("Access denied"), "without a password {user:?} gets: {refusal}");
    }
}

#[test]
fn further_arguments_win() {
    let options = Options { durable: true, arguments: vec!["--max-connections=17".to_owned()], ..small() };
    let server = Server::start(options).expect("it starts");
    let settings = server.execute("SELECT @@max_connections, @@innodb_flush_log_at_trx_commit").expect("it answers");
    assert_eq!(settings, "17\t1\n");
}

#[test]
fn a_server_that_cannot_start_says_why() {
    let options = Options { arguments: vec!["--no-such-option".to_owned()], ..small() };
    let error = Server::start(options).expect_err("it refuses the option").to_string();
    assert!(error.contains("no-such-option"), "{error}");
}

#[test]
fn a_frozen_server_is_silent_until_it_goes_on() {
    let server = Server::start(small()).expect("it starts");
    server.pause().expect("it is frozen");
    // The kernel still accepts the connection; the greeting is what is missing.
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, server.port())).expect("the kernel accepts");
    stream.set_read_timeout(Some(Duration::from_millis(200))).expect("a time-out can be set");
    assert!(stream.read_exact(&mut [0; 5]).is_err(), "nothing is answered");
    server.resume().expect("it goes on");
    assert_eq!(server.execute("SELECT 1").expect("it answers"), "1\n");

    server.pause().expect("it is frozen again");
    server.stop().expect("a frozen server stops too");
}

#[test]
fn it_dies_with_a_test_that_is_killed() {
    let program = env::current_exe().expect("we know our program");
    let mut victim = Command::new(program)
        .args(["--exact", "victim", "--nocapture"])
        .env(VICTIM, "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("our program starts once more");
    let lines = BufReader::new(victim.stdout.take().expect("it is piped")).lines();
    let line = lines
        .map(|line| line.expect("it is text"))
        .find_map(|line| line.split_once("SERVER ").map(|(_, server)| server.to_owned()))
        .expect("it tells us its server");
    let (port, folder) = line.split_once(' ').expect("port and folder");
    let folder = PathBuf::from(folder);
    let mut connection = open_connection(port.parse().expect("a port"));
    assert!(folder.exists());

    victim.kill().expect("it is killed");
    victim.wait().expect("it is dead");

    // The kernel closes the connection when the server is dead: no need to ask again and again.
    let mut rest = Vec::new();
    connection.set_read_timeout(Some(Duration::from_secs(30))).expect("a time-out can be set");
    match connection.read_to_end(&mut rest) {
        Ok(_) => {}
        Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "the server still lives"),
    }
    let deadline = Instant::now() + Duration::from_secs(30);
    while folder.exists() {
        assert!(Instant::now() < deadline, "{} is left behind", folder.display());
        std::thread::yield_now();
    }
}

/// Not a test of anything when it runs by itself: the process that is killed above.
#[test]
fn victim() {
    if env::var_os(VICTIM).is_some() {
        let server = Server::start(small()).expect("it starts");
        println!("SERVER {} {}", server.port(), server.folder().display());
        // Waits until it is killed, or until the other test is: then this pipe ends.
        std::io::stdin().read_to_end(&mut Vec::new()).expect("the pipe ends");
    }
}
