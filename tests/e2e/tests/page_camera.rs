//! The demo page with a camera, at the `chan_sip` of Asterisk 11.

use e2e::failure::{Result, ensure};
use e2e::site::Site;
use e2e::user::{Screen, User};

#[test]
#[cfg_attr(not(eleven), ignore = "ASTERISK_PREFIX names no Asterisk 11")]
fn with_the_camera_on_both_pictures_are_seen() -> Result {
    let (lab, mut user) =
        User::registered("page-camera", &Site { carriers: true, video: true, ..Site::default() }, Screen::Telephone)?;
    switches_the_camera_on(&mut user)?;
    user.goes_to("number")?;
    user.calls("mirror", "In call with mirror")?;
    user.sees_picture("#self")?;
    user.sees_picture("#picture")?;
    user.sees_it_all(Screen::Telephone)?;
    user.takes_picture("camera")?;
    user.hangs_up(&lab)?;
    user.finds("#pictures", "hidden", "")?;
    user.met_no_error()
}

#[test]
#[cfg_attr(not(eleven), ignore = "ASTERISK_PREFIX names no Asterisk 11")]
fn an_account_without_video_is_called_once_more_without_the_camera() -> Result {
    let (lab, mut user) = User::registered("page-no-video", &Site::default(), Screen::Desk)?;
    user.notes_connections()?;
    switches_the_camera_on(&mut user)?;
    user.goes_to("number")?;
    user.calls("echo", "In call with echo")?;
    user.sees_level("hearing", -40, 0)?;
    let devices = user.devices()?;
    ensure(devices["camera"].is_null(), || devices.to_string())?;
    user.hangs_up(&lab)?;
    user.met_no_error()
}

fn switches_the_camera_on(user: &mut User) -> Result {
    user.goes_to("devices-summary")?;
    user.presses("Enter")?;
    user.goes_to("camera-switch")?;
    user.presses("Space")
}
