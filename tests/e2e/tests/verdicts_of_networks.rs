//! Set-ups that are broken on the way between the two ends, each of which the history of calls names rightly, with the setting to change.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::thread;
use std::time::Duration;

use e2e::failure::Result;
use e2e::lab::Lab;
use e2e::links::Links;
use e2e::nat::coturn::{self, Coturn};
use e2e::phone::{Browser, Phone, RtcpMux};
use e2e::site::Site;
use e2e::talker::{PCMU, Talker, site};
use e2e::user::{Microphone, Screen, User};

/// The address of the host's machine.
const HOST: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 77, 0, 1));

#[test]
#[cfg_attr(not(eleven), ignore = "there is no Asterisk 11")]
fn nat_is_no_for_a_phone_behind_a_nat() -> Result {
    let mut site = site();
    for (_, text) in &mut site.files {
        *text = text.replace("nat = force_rport,comedia", "nat = no");
    }
    let lab = Lab::start("verdict-nat", &site)?;
    let mut phone = Talker::new(&lab, "caller", 800.0)?;
    // The address that the phone has behind the NAT.
    let description = phone.description("sendrecv", &[PCMU]).replace("127.0.0.1", "127.9.9.9");
    let answer = phone.phone.call("tone", &description)?;
    phone.learn(&answer)?;
    thread::sleep(Duration::from_secs(3));
    phone.phone.bye()?;
    lab.until_told("set nat = force_rport,comedia").map(drop)
}

mod as_root {
    use super::*;

    #[test]
    #[ignore = "creates network namespaces"]
    fn a_firewall_drops_udp() -> Result {
        let lab = Lab::joined_by(Links::new(1)?, "verdict-firewall", &Site::default())?;
        lab.links().map_or(Ok(()), |links| links.silence(0))?;
        calls_in_vain(&lab)?;
        lab.until_told("a firewall drops UDP; open UDP to and from the ports").map(drop)
    }

    #[test]
    #[ignore = "creates network namespaces"]
    fn the_password_for_turn_is_wrong() -> Result {
        let server = SocketAddr::new(HOST, coturn::PORT);
        let rtp = format!("turnaddr = turn:{server}\nturnusername = {}\nturnpassword = other\n", coturn::USER);
        let lab = Lab::joined_by(Links::new(1)?, "verdict-turn", &Site { rtp, ..Site::default() })?;
        let links = lab.links();
        let turn = links.map(|links| Coturn::start(links.host(), &[HOST], lab.asterisk().home())).transpose()?;
        links.map_or(Ok(()), |links| links.silence(0))?;
        // The module asks the server again after a while.
        lab.until_logged("it refuses username and password", Duration::from_secs(60))?;
        calls_in_vain(&lab)?;
        let told = lab.until_told("correct turnusername and turnpassword");
        drop(turn);
        told.map(drop)
    }
}

#[test]
#[cfg_attr(not(eleven), ignore = "there is no Asterisk 11")]
fn the_page_is_on_http_of_another_host() -> Result {
    let lab = Lab::start("verdict-http", &Site::default())?;
    let mut user = User::open(&lab, Browser::Chromium, Screen::Desk, Microphone::Given)?;
    user.opens_insecurely(&lab)?;
    user.registers("demo-1001", "Registered as 1001")?;
    lab.originate("1001", "echo")?;
    user.is_told("is calling")?;
    user.goes_to("answer")?;
    user.presses("Enter")?;
    user.is_told("This page gets no microphone")?;
    user.presses("Escape")?;
    lab.until_told("serve it by https: tlsenable and tlscertfile in http.conf").map(drop)
}

/// A browser calls for a while, without hearing anything.
fn calls_in_vain(lab: &Lab) -> Result {
    let mut phone = Phone::registered(lab, Browser::Chromium, "1001")?;
    phone.dial("echo", RtcpMux::Require)?;
    phone.until(&["accepted", "failed"], Duration::from_secs(20))?;
    thread::sleep(Duration::from_secs(4));
    phone.hangup()
}
