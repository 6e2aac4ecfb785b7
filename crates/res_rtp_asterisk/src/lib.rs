//! Asterisk RTP Stack for Asterisk 11, in place of its res_rtp_asterisk.so.
