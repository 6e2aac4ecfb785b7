//! Secure RTP (SRTP) for Asterisk 11, in place of its res_srtp.so.
