//! The daemon's own log: a stream of the log plane like any other, fed by `logs::mainlog`.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;

use super::brain::take;
use super::processes::MAIN_LOG;
use super::settings::Settings;
use crate::config::{MainLogTarget, SupervisordConfig};
use crate::keeper::ParkKey;
use crate::logs::{Plane, SinkConfig, Syslog, mainlog};

pub(super) fn main_sink(supervisord: &SupervisordConfig) -> SinkConfig {
    let path = match &supervisord.logfile {
        MainLogTarget::File(path) => Some(path.clone()),
        MainLogTarget::None | MainLogTarget::Syslog => None,
    };
    SinkConfig::raw(path, 0o666, supervisord.logfile_config)
}

pub(super) fn start_main_log(
    plane: &Plane,
    supervisord: &SupervisordConfig,
    settings: &Settings,
    keeper_pid: i32,
    parked: &mut BTreeMap<ParkKey, OwnedFd>,
) -> Result<(), String> {
    let write = take(parked, ParkKey::MainLogWrite)?;
    let read = take(parked, ParkKey::MainLogRead)?;
    plane.prepare(MAIN_LOG, main_sink(supervisord));
    plane.attach(MAIN_LOG, 0, read);
    let echo = settings.echoes_log();
    let to_syslog = supervisord.logfile == MainLogTarget::Syslog;
    let syslog = to_syslog
        .then(|| Syslog::new(keeper_pid.cast_unsigned()))
        .transpose()
        .map_err(|error| format!("a socket for syslog: {error}"))?;
    mainlog::start(supervisord.loglevel, write, echo, syslog)
        .map_err(|error| format!("starting the main log: {error}"))
}
