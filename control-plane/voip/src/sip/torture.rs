//! What is answered to each message of RFC 4475, in small versions of our own, and to mutations of them.

use proptest::prelude::*;

use super::{
    Flaw, HeaderName, Message, Method, ParseError, Scheme, SipUri, StartLine, body, parse,
};
use crate::sdp;

const SDP: &str = "v=0\r\no=m 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n\
    m=audio 49217 RTP/AVP 0 12\r\nm=video 3227 RTP/AVP 31\r\na=rtpmap:31 LPC\r\n";

/// A message from its first line, its own headers, and those of a good message that it does not name itself.
fn message(start: &str, headers: &[&str], body: &str) -> Vec<u8> {
    let method = start.split(' ').find(|word| !word.is_empty()).unwrap_or("");
    let cseq = if method.starts_with("SIP/") { "INVITE" } else { method };
    let cseq = format!("CSeq: 8 {cseq}");
    let length = format!("Content-Length: {}", body.len());
    let mut lines = vec![start];
    lines.extend(headers);
    for default in [
        "To: sip:j.user@example.com",
        "From: sip:caller@example.net;tag=134161461246",
        "Call-ID: torture.0ha0isndaksdjasdf3234nas",
        &cseq,
        "Via: SIP/2.0/UDP 192.0.2.15;branch=z9hG4bKkdjuw",
        &length,
    ] {
        let name = |line: &str| {
            HeaderName::from_bytes(line.split(':').next().unwrap_or("").trim().as_bytes())
        };
        if !headers.iter().any(|own| name(own) == name(default)) {
            lines.push(default);
        }
    }
    if !body.is_empty()
        && !headers.iter().any(|own| own.to_ascii_lowercase().starts_with("content-type"))
    {
        lines.push("Content-Type: application/sdp");
    }
    format!("{}\r\n\r\n{body}", lines.join("\r\n")).into_bytes()
}

const INVITE: &str = "INVITE sip:user@example.com SIP/2.0";
const OPTIONS: &str = "OPTIONS sip:user@example.com SIP/2.0";
const REGISTER: &str = "REGISTER sip:example.com SIP/2.0";

/// Name in RFC 4475, message, and what of it counts.
type Case = (&'static str, Vec<u8>, Result<&'static [Flaw], ParseError>);

/// Valid messages by name.
type Good = Vec<(&'static str, Vec<u8>)>;

/// RFC 4475 section 3.1.1: valid messages; 3.3 and 3.4: those whose syntax is valid.
fn valid() -> Vec<Case> {
    let cases = [valid_forms(), valid_escapes(), valid_for_the_application()].concat();
    cases.into_iter().map(|(name, bytes)| (name, bytes, Ok(&[][..]))).collect()
}

fn valid_forms() -> Good {
    vec![
        ("wsinv", wsinv()),
        ("lwsdisp", message(OPTIONS, &["From: caller<sip:caller@example.com>;tag=323"], "")),
        ("longreq", longreq()),
        (
            "transports",
            message(
                OPTIONS,
                &[
                    "Via: SIP/2.0/UDP t1.example.com;branch=z9hG4bKa",
                    "Via: SIP/2.0/SCTP t2.example.com;branch=z9hG4bKb",
                    "Via: SIP/2.0/UNKNOWN t4.example.com;branch=z9hG4bKc",
                ],
                "",
            ),
        ),
        ("unreason", message("SIP/2.0 200 = 2**3 * 5**2 \u{43d}\u{43e}", &[], SDP)),
        ("noreason", message("SIP/2.0 100 ", &[], "")),
        ("mpart01", mpart01()),
    ]
}

fn valid_escapes() -> Good {
    vec![
        (
            "intmeth",
            message(
                "!interesting-Method0123456789_*+`.%indeed'~ sip:1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*:&it+has=1,weird!*pas$wo~d_too.(doesn't-it)@example.com SIP/2.0",
                &[
                    "From: token1~` token2'+_ token3*%!.- <sip:mundane@example.com>;fromParam''~+*_!.-%=\"x\";tag=_token~1'+`*%!-.",
                    "To: \"BEL:\\\u{7} NUL:\\\u{0} DEL:\\\u{7f}\" <sip:1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*@example.com>",
                    "extensionHeader-!.%*+_`'~: \u{feff}\u{5927}\u{505c}\u{96fb}",
                ],
                "",
            ),
        ),
        (
            "esc01",
            message(
                "INVITE sip:sips%3Auser%40example.com@example.net SIP/2.0",
                &[
                    "To: sip:%75se%72@example.com",
                    "From: <sip:I%20have%20spaces@example.net>;tag=938",
                    "Contact:\r\n  <sip:cal%6Cer@host5.example.net;%6C%72;n%61me=v%61lue%25%34%31>",
                ],
                SDP,
            ),
        ),
        (
            "escnull",
            message(
                REGISTER,
                &[
                    "To: sip:null-%00-null@example.com",
                    "Contact: <sip:%00@host5.example.com>",
                    "Contact: <sip:%00%00@host5.example.com>",
                    "L:0",
                ],
                "",
            ),
        ),
        (
            "esc02",
            message(
                "RE%47IST%45R sip:registrar.example.com SIP/2.0",
                &[
                    "To: \"%Z%45\" <sip:resource@example.com>",
                    "C%6Fntact: <sip:alias2@host2.example.com>",
                    "Contact: <sip:alias3@host3.example.com>",
                ],
                "",
            ),
        ),
        ("semiuri", message("OPTIONS sip:user;par=u%40example.net@example.com SIP/2.0", &[], "")),
    ]
}

fn valid_for_the_application() -> Good {
    vec![
        ("unkscm", message("OPTIONS nobodyKnowsThisScheme:totallyopaquecontent SIP/2.0", &[], "")),
        ("novelsc", message("OPTIONS soap.beep://192.0.2.103:3002 SIP/2.0", &[], "")),
        (
            "unksm2",
            message(
                REGISTER,
                &[
                    "To: isbn:2983792873",
                    "From: <http://www.example.com>;tag=3234233",
                    "Contact: <name:John_Smith>",
                ],
                "",
            ),
        ),
        (
            "bext01",
            message(OPTIONS, &["Require: nothingSupportsThis, nothingSupportsThisEither"], ""),
        ),
        ("invut", message(INVITE, &["Content-Type: application/unknownformat"], "<audio/>")),
        (
            "regaut01",
            message(REGISTER, &["Authorization: NoOneKnowsThisScheme opaque-data=here"], ""),
        ),
        (
            "bcast",
            message(
                "SIP/2.0 200 OK",
                &[
                    "Via: SIP/2.0/UDP 192.0.2.198;branch=z9hG4bK1324923",
                    "Via: SIP/2.0/UDP 255.255.255.255;branch=z9hG4bK1saber23",
                ],
                SDP,
            ),
        ),
        ("zeromf", message(OPTIONS, &["Max-Forwards: 0"], "")),
        (
            "cparam01",
            message(REGISTER, &["Contact: sip:+19725552222@gw1.example.net;unknownparam"], ""),
        ),
        (
            "cparam02",
            message(REGISTER, &["Contact: <sip:+19725552222@gw1.example.net;unknownparam>"], ""),
        ),
        (
            "regescrt",
            message(REGISTER, &["M: <sip:user@example.com?Route=%3Csip:sip.example.com%3E>"], ""),
        ),
        ("sdp01", message(INVITE, &["Accept: text/nobodyKnowsThis"], SDP)),
    ]
}

/// RFC 4475 section 3.1.1.7: long values, many Via.
fn longreq() -> Vec<u8> {
    let start = format!("INVITE sip:user@example.com;p={} SIP/2.0", "x".repeat(600));
    let vias: Vec<String> =
        (0..34).map(|n| format!("v: SIP/2.0/TCP sip{n}.example.com;branch=z9hG4bK{n}")).collect();
    let mut headers =
        vec!["CONTENT-TYPE: application/sdp", "F: <sip:a@b>;tag=1", "Unknown: \r\n  folded"];
    headers.extend(vias.iter().map(String::as_str));
    message(&start, &headers, SDP)
}

/// RFC 4475 section 3.1.1.1: white space wherever the grammar allows it.
fn wsinv() -> Vec<u8> {
    let head = "INVITE sip:vivekg@chair-dnrc.example.com;unknownparam SIP/2.0\r\nTO :\r\n \
        sip:vivekg@chair-dnrc.example.com ;   tag    = 1918181833n\r\nfrom   : \"J Rosenberg \\\\\\\"\"       \
        <sip:jdrosen@example.com>\r\n  ;\r\n  tag = 98asjd8\r\nMaX-fOrWaRdS: 0068\r\nCall-ID: \
        wsinv.ndaksdj@192.0.2.1\r\ncseq: 0009\r\n  INVITE\r\nVia  : SIP  /   2.0\r\n /UDP\r\n    \
        192.0.2.2;branch=390skdjuw\r\ns :\r\nNewFangledHeader:   newfangled value\r\n continued newfangled \
        value\r\nUnknownHeaderWithUnusualValue: ;;,,;;,;\r\nContent-Type: application/sdp\r\nRoute:\r\n \
        <sip:services.example.com;lr;unknownwith=value;unknown-no-value>\r\nv:  SIP  / 2.0  / TCP     \
        spindle.example.com   ;\r\n  branch  =   z9hG4bK9ikj8  ,\r\n SIP  /    2.0   / UDP  192.168.255.111   \
        ; branch=\r\n z9hG4bK30239\r\nm:\"Quoted string \\\"\\\"\" <sip:jdrosen@example.com> ; newparam =\r\n      \
        newvalue ;\r\n  secondparam ; q = 0.33\r\nContent-Length   : ";
    format!("{head}{}\r\n\r\n{SDP}", SDP.len()).into_bytes()
}

/// RFC 4475 section 3.1.1.11: several parts, one of them binary.
fn mpart01() -> Vec<u8> {
    let body = "--7a9cbec02ceef655\r\nContent-Type: text/plain\r\n\r\nHello\r\n--7a9cbec02ceef655\r\n\
        Content-Type: application/octet-stream\r\n\r\n\u{0}\u{1}\r\n--\u{2}\r\n--7a9cbec02ceef655--";
    let content_type = "Content-Type: multipart/mixed;boundary=7a9cbec02ceef655";
    message("MESSAGE sip:kumiko@example.org SIP/2.0", &[content_type], body)
}

/// RFC 4475 sections 3.1.2, 3.2 and those of 3.3 that are wrong.
fn invalid() -> Vec<Case> {
    let mut dblreq = message(REGISTER, &[], "");
    dblreq.extend(b"\r\n\r\n");
    dblreq.extend(message(INVITE, &[], SDP));
    vec![
        ("badinv01", message(INVITE, &["Via: SIP/2.0/UDP 192.0.2.15;;,;,,", "Contact: \"Joe\" <sip:joe@example.org>;;;;"], SDP),
            Ok(&[Flaw::ContactSyntax, Flaw::ViaSyntax])),
        ("clerr", message(INVITE, &["Content-Length: 9999"], SDP), Ok(&[Flaw::BodyTruncated])),
        ("ncl", message(INVITE, &["Content-Length: -999"], SDP), Err(ParseError::ContentLengthNegative)),
        ("scalar02", message(REGISTER, &["CSeq: 36893488147419103232 REGISTER"], ""), Err(ParseError::CSeq)),
        ("scalarlg", message("SIP/2.0 503 Service Unavailable", &["CSeq: 9292394834772304023312 OPTIONS"], ""), Err(ParseError::CSeq)),
        ("quotbal", message(INVITE, &["To: \"Mr. J. User <sip:j.user@example.com>"], SDP), Ok(&[Flaw::AddressQuote])),
        ("ltgtruri", message("INVITE <sip:user@example.com> SIP/2.0", &[], SDP), Ok(&[Flaw::RequestUri])),
        ("lwsruri", message("INVITE sip:user@example.com; lr SIP/2.0", &[], SDP), Ok(&[Flaw::RequestUri])),
        ("lwsstart", message("INVITE  sip:user@example.com  SIP/2.0", &[], SDP), Ok(&[Flaw::StartLineSpace])),
        ("trws", message("OPTIONS sip:remote-target@example.com SIP/2.0  ", &[], ""), Ok(&[Flaw::StartLineSpace])),
        ("escruri", message("INVITE sip:user@example.com?Route=%3Csip:example.com%3E SIP/2.0", &[], SDP), Ok(&[Flaw::RequestUri])),
        ("baddate", message(INVITE, &["Date: Fri, 01 Jan 2010 16:00:00 EST"], SDP), Ok(&[Flaw::Date])),
        ("regbadct", message(REGISTER, &["Contact: sip:user@example.com?Route=%3Csip:sip.example.com%3E"], ""), Ok(&[Flaw::ContactSyntax])),
        ("badaspec", message(OPTIONS, &["To: \"Watson, Thomas\" < sip:t.watson@example.org >"], ""), Ok(&[Flaw::AddressSyntax])),
        ("baddn", message(OPTIONS, &["From: Bell, Alexander <sip:a.g.bell@example.com>;tag=43"], ""), Ok(&[Flaw::AddressSyntax])),
        ("badvers", message("OPTIONS sip:t.watson@example.org SIP/7.0", &[], ""), Err(ParseError::Version)),
        ("mismatch01", message(OPTIONS, &["CSeq: 8 INVITE"], ""), Err(ParseError::CSeqMethod)),
        ("mismatch02", message("NEWMETHOD sip:user@example.com SIP/2.0", &["CSeq: 8 INVITE"], SDP), Err(ParseError::CSeqMethod)),
        ("bigcode", message("SIP/2.0 4294967301 better not break the receiver", &[], ""), Err(ParseError::StatusCode)),
        ("badbranch", message(OPTIONS, &["Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK"], ""), Ok(&[Flaw::ViaBranch])),
        ("insuf", b"INVITE sip:user@example.com SIP/2.0\r\nCSeq: 193942 INVITE\r\nVia: SIP/2.0/UDP 192.0.2.95\r\n\r\n".to_vec(),
            Err(ParseError::MissingCallId)),
        ("multi01", message(INVITE, &["CSeq: 5 INVITE", "Call-ID: 1@192.0.2.1", "CSeq: 59 INVITE", "Call-ID: 1@192.0.2.2"], SDP),
            Err(ParseError::DuplicateCSeq)),
        ("mcl01", message(OPTIONS, &["Content-Length: 13", "Content-Length: 5", "Content-Type: text/plain"], "There's no way to know"),
            Err(ParseError::DuplicateContentLength)),
        ("dblreq", dblreq, Ok(&[Flaw::TrailingBytes])),
        // RFC 2543: no branch, no tag, no Content-Length.
        ("inv2543", format!("INVITE sip:UserB@example.com SIP/2.0\r\nVia: SIP/2.0/UDP iftgw.example.com\r\nFrom: <sip:+1303@ift>\r\nTo: sip:+1650@ss1\r\nCall-ID: 1\r\nCSeq: 56 INVITE\r\nContent-Type: application/sdp\r\n\r\n{SDP}").into_bytes(), Ok(&[])),
    ]
}

/// Beyond RFC 4475: each remaining cause.
fn further_causes() -> Vec<Case> {
    let many: Vec<String> = (0..300).map(|n| format!("X-{n}: 1")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    vec![
        ("empty", b"\r\n\r\n".to_vec(), Err(ParseError::Empty)),
        ("too large", vec![b'a'; 70_000], Err(ParseError::TooLarge)),
        ("not sip", b"GET / HTTP/1.1\r\n\r\n".to_vec(), Err(ParseError::StartLine)),
        ("bad method", message("IN\u{1}VITE sip:a@b SIP/2.0", &[], ""), Err(ParseError::StartLine)),
        ("no uri", message("INVITE SIP/2.0", &[], ""), Err(ParseError::RequestUri)),
        ("code 099", message("SIP/2.0 099 x", &[], ""), Err(ParseError::StatusCode)),
        ("code 700", message("SIP/2.0 700 x", &[], ""), Err(ParseError::StatusCode)),
        ("too many headers", message(OPTIONS, &many, ""), Err(ParseError::HeaderCount)),
        ("no cseq", b"SIP/2.0 200 OK\r\nCall-ID: 1\r\n\r\n".to_vec(), Err(ParseError::MissingCSeq)),
        (
            "no from",
            b"SIP/2.0 200 OK\r\nCall-ID: 1\r\nCSeq: 1 A\r\n\r\n".to_vec(),
            Err(ParseError::MissingFrom),
        ),
        (
            "no to",
            b"SIP/2.0 200 OK\r\nCall-ID: 1\r\nCSeq: 1 A\r\nf: <a:b>\r\n\r\n".to_vec(),
            Err(ParseError::MissingTo),
        ),
        (
            "no via",
            b"SIP/2.0 200 OK\r\nCall-ID: 1\r\nCSeq: 1 A\r\nf: <a:b>\r\nt: <a:b>\r\n\r\n".to_vec(),
            Err(ParseError::MissingVia),
        ),
        ("empty call-id", message(OPTIONS, &["Call-ID:"], ""), Err(ParseError::MissingCallId)),
        (
            "two call-ids",
            message(OPTIONS, &["Call-ID: 1", "i: 2"], ""),
            Err(ParseError::DuplicateCallId),
        ),
        (
            "two froms",
            message(OPTIONS, &["From: <a:b>", "f: <a:c>"], ""),
            Err(ParseError::DuplicateFrom),
        ),
        ("two tos", message(OPTIONS, &["To: <a:b>", "t: <a:c>"], ""), Err(ParseError::DuplicateTo)),
        (
            "two types",
            message(OPTIONS, &["Content-Type: a/b", "c: a/c"], ""),
            Err(ParseError::DuplicateContentType),
        ),
        (
            "no from address",
            message(OPTIONS, &["From: <>;tag=1"], ""),
            Err(ParseError::FromAddress),
        ),
        ("no to address", message(OPTIONS, &["To: "], ""), Err(ParseError::ToAddress)),
        (
            "odd length",
            message(OPTIONS, &["Content-Length: 1x"], ""),
            Err(ParseError::ContentLength),
        ),
    ]
}

/// Beyond RFC 4475: each remaining flaw.
fn further_flaws() -> Vec<Case> {
    let cut = |mut bytes: Vec<u8>, less: usize| {
        bytes.truncate(bytes.len() - less);
        bytes
    };
    let length = format!("l: {}", SDP.len());
    let bare = |bytes: Vec<u8>| bytes.into_iter().filter(|byte| *byte != b'\r').collect::<Vec<_>>();
    vec![
        (
            "same call-id twice",
            message(OPTIONS, &["Call-ID: 1", "i: 1"], ""),
            Ok(&[Flaw::DuplicateHeader]),
        ),
        ("bare lf", bare(message(INVITE, &[], "")), Ok(&[Flaw::BareLf])),
        (
            "no header",
            message(OPTIONS, &["this is no header", "nor: \r\n this", "n(r: this"], ""),
            Ok(&[Flaw::HeaderLine]),
        ),
        ("cut in the headers", cut(message(OPTIONS, &[], ""), 4), Ok(&[Flaw::HeadersTruncated])),
        (
            "no type",
            [message(INVITE, &[&length], ""), SDP.into()].concat(),
            Ok(&[Flaw::MissingContentType]),
        ),
    ]
}

/// Every message there is.
fn all() -> Vec<Case> {
    [valid(), invalid(), further_causes(), further_flaws()].concat()
}

// CALL-1, S9: RFC 4475: what is valid is taken as it is, what is not is refused or used with its flaw noted.
#[test]
fn torture_messages_are_answered() {
    for (name, bytes, expected) in all() {
        match (parse(&bytes), expected) {
            (Ok(message), Ok(flaws)) => {
                assert_eq!(message.flaws().iter().collect::<Vec<_>>(), flaws, "{name}");
            }
            (got, expected) => assert_eq!(got.map(|m| m.flaws()).err(), expected.err(), "{name}"),
        }
    }
}

// OPS-1: every cause and every flaw is reached by some message above.
#[test]
fn every_kind_is_reached() {
    let cases = all();
    for error in ParseError::ALL {
        assert!(cases.iter().any(|(_, _, expected)| *expected == Err(error)), "{error:?}");
    }
    for flaw in Flaw::ALL {
        assert!(
            cases.iter().any(|(_, _, e)| e.is_ok_and(|flaws| flaws.contains(&flaw))),
            "{flaw:?}"
        );
    }
}

// CALL-1: RFC 4475 section 3.1.1.1 to the last field.
#[test]
fn white_space_is_no_obstacle() {
    let bytes = wsinv();
    let message = parse(&bytes).unwrap();
    assert_eq!(
        message.start,
        StartLine::Request {
            method: Method::Invite,
            uri: b"sip:vivekg@chair-dnrc.example.com;unknownparam",
        }
    );
    assert_eq!(
        (message.call_id(), message.cseq()),
        (&b"wsinv.ndaksdj@192.0.2.1"[..], (9, Method::Invite))
    );
    assert_eq!(message.to().tag, Some(&b"1918181833n"[..]));
    assert_eq!(
        (message.from().tag, message.from().display),
        (Some(&b"98asjd8"[..]), &b"J Rosenberg \\\\\\\""[..])
    );
    let vias: Vec<_> =
        message.via().map(|via| (via.transport, via.host, via.branch.unwrap())).collect();
    assert_eq!(
        vias,
        [
            (&b"UDP"[..], &b"192.0.2.2"[..], &b"390skdjuw"[..]),
            (b"TCP", b"spindle.example.com", b"z9hG4bK9ikj8"),
            (b"UDP", b"192.168.255.111", b"z9hG4bK30239"),
        ]
    );
    let contact = message.contact().unwrap();
    assert_eq!(
        (contact.param(b"newparam"), contact.param(b"q")),
        (Some(&b"newvalue"[..]), Some(&b"0.33"[..]))
    );
    assert_eq!(message.header_by_name(b"newfangledheader").count(), 1);
    assert_eq!(message.header_first(HeaderName::Subject), Some(&b""[..]));
    assert_eq!(sdp::parse(body::sdp(&message).unwrap()).unwrap().media.len(), 2);
}

// CALL-1: addresses of foreign schemes; a response is asked for its method.
#[test]
fn details_of_other_messages() {
    let find = |wanted: &str| valid().into_iter().find(|(name, _, _)| *name == wanted).unwrap().1;
    let bytes = find("unksm2");
    let message = parse(&bytes).unwrap();
    assert_eq!(message.to().sip_uri().unwrap().scheme, Scheme::Other);
    assert_eq!(SipUri::parse(message.from().uri).unwrap().scheme, Scheme::Other);
    let bytes = find("unreason");
    let message = parse(&bytes).unwrap();
    assert_eq!(
        (message.status(), message.method(), message.is_request()),
        (Some(200), Method::Invite, false)
    );
    let bytes = find("intmeth");
    let message = parse(&bytes).unwrap();
    assert_eq!(
        (message.method(), message.method_name()),
        (Method::Other, &b"!interesting-Method0123456789_*+`.%indeed'~"[..])
    );
    let bytes = mpart01();
    let message = parse(&bytes).unwrap();
    let parts = body::parts(&message);
    assert_eq!(parts.len(), 2);
    assert_eq!((parts[0].bytes, parts[1].bytes), (&b"Hello"[..], &b"\0\x01\r\n--\x02"[..]));
}

/// Asks a message everything.
fn ask(message: &Message<'_>) -> usize {
    let mut bytes = message.headers.iter().map(|h| h.raw_name.len() + h.value.len()).sum::<usize>();
    bytes += message.via().filter_map(|via| via.param(b"received")).map(<[u8]>::len).sum::<usize>();
    bytes += message
        .addresses(HeaderName::Contact)
        .filter_map(|a| a.sip_uri())
        .map(|u| u.host.len())
        .sum::<usize>();
    bytes += usize::from(message.rseq().is_some()) + usize::from(message.rack().is_some());
    bytes += usize::from(message.session_expires().is_some())
        + usize::from(message.replaces().is_some());
    bytes += message
        .refer_to()
        .and_then(|to| to.sip_uri())
        .and_then(|uri| uri.header(b"Replaces"))
        .map_or(0, |v| v.len());
    bytes += message.referred_by().map_or(0, |a| a.display.len());
    bytes += message.p_asserted_identity().map_or(0, |a| a.uri.len());
    bytes += message.diversion().map_or(0, |a| a.params.len());
    bytes += usize::from(message.has_credentials())
        + usize::from(message.has_option(HeaderName::Require, b"x"));
    bytes += body::parts(message).iter().map(|part| part.bytes.len()).sum::<usize>();
    bytes
        + body::sdp(message)
            .map_or(0, |sdp| sdp::parse(sdp).map_or(0, |session| session.media.len()))
}

proptest! {
    // S9: any bytes: no panic, and what is given out lies within what came in.
    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        if let Ok(message) = parse(&bytes) {
            ask(&message);
        }
    }

    // S9: torture messages with bytes changed, cut, doubled.
    #[test]
    fn mutated_torture(which in any::<usize>(), cut in any::<usize>(), double in any::<usize>(),
        mutations in prop::collection::vec((any::<usize>(), prop_oneof![
            Just(b'\r'), Just(b'\n'), Just(b' '), Just(b';'), Just(b','), Just(b':'), Just(b'"'), Just(b'<'), Just(b'>'),
            Just(b'='), Just(0u8), any::<u8>()]), 0..12)) {
        let cases = all();
        let mut bytes = cases[which % cases.len()].1.clone();
        for (at, byte) in mutations {
            let length = bytes.len();
            bytes[at % length] = byte;
        }
        let at = double % bytes.len();
        let tail = bytes[at..].to_vec();
        bytes.extend(tail);
        bytes.truncate(cut % bytes.len() + 1);
        if let Ok(message) = parse(&bytes) {
            prop_assert!(ask(&message) < bytes.len() * 16 + 64);
            prop_assert!(!message.call_id().is_empty());
        }
    }
}
