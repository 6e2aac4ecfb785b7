//! A small Asterisk 11 core that loads the built modules and drives them through the ABI.
