package checks

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"testing/fstest"
	"time"
)

// dnsServer answers questions by their name and type with answers, and is
// silent where it has none.
func dnsServer(t *testing.T, answer func(name string, qtype uint16) (records []string, code byte, ok bool)) string {
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	go func() {
		buf := make([]byte, 4096)
		for {
			n, from, err := conn.ReadFrom(buf)
			if err != nil {
				return
			}
			msg := buf[:n]
			name, end, _ := readName(msg, headerLen)
			qtype := binary.BigEndian.Uint16(msg[end:])
			records, code, ok := answer(name, qtype)
			if !ok {
				continue
			}
			conn.WriteTo([]byte("no answer"), from) // is ignored
			conn.WriteTo(response(msg, end+4, qtype, code, records), from)
		}
	}()
	return conn.LocalAddr().String()
}

// response answers a query; the owner of each record is a pointer to the
// question's name.
func response(query []byte, end int, qtype uint16, code byte, records []string) []byte {
	b := append([]byte(nil), query[:end]...)
	b[2], b[3] = 0x81, 0x80|code
	binary.BigEndian.PutUint16(b[6:], uint16(len(records)))
	binary.BigEndian.PutUint16(b[10:], 0)
	for _, data := range records {
		b = append(b, 0xC0, headerLen)
		b = binary.BigEndian.AppendUint16(b, qtype)
		b = append(b, 0, 1, 0, 0, 0, 60)
		b = binary.BigEndian.AppendUint16(b, uint16(len(data)))
		b = append(b, data...)
	}
	return b
}

func records(name string, qtype uint16) ([]string, byte, bool) {
	switch fmt.Sprint(name, qtype) {
	case "www.example.com.1":
		return []string{"\xc0\x00\x02\x02", "\xc0\x00\x02\x01"}, 0, true
	case "www.example.com.28":
		return []string{"\x20\x01\x0d\xb8" + strings.Repeat("\x00", 11) + "\x01"}, 0, true
	case "www.example.com.5":
		return []string{"\x03cdn\xc0\x10"}, 0, true // cdn, and the rest of the question's name
	case "www.example.com.15":
		return []string{"\x00\x0a\x02mx\xc0\x10"}, 0, true
	case "www.example.com.33":
		return []string{"\x00\x01\x00\x02\x01\xbb\x01s\xc0\x10"}, 0, true
	case "www.example.com.16":
		return []string{"\x03one\x03two"}, 0, true
	case "www.example.com.257":
		return []string{"\x00\x05issueca.example.net"}, 0, true
	case "www.example.com.44":
		return []string{"\x04\x02\xab\xcd"}, 0, true
	case "www.example.com.2":
		return nil, 0, true // no such record
	case "1.2.0.192.in-addr.arpa.12":
		return []string{"\x03www\x07example\x03com\x00"}, 0, true
	case "bad.example.com.5":
		return []string{"\xc0\xff"}, 0, true // a pointer to nowhere
	case "no.example.com.1", "no.example.com.28":
		return nil, 3, true
	case "broken.example.com.1", "half.example.com.28":
		return nil, 2, true
	case "half.example.com.1":
		return nil, 3, true
	}
	return nil, 0, false
}

func TestDNSProperties(t *testing.T) {
	server := dnsServer(t, records)
	for _, tt := range []struct {
		id, property, want string
		verdict            Verdict
		message            string
	}{
		{"A:www.example.com", "resolvable", `true`, Pass, ""},
		{"A:www.example.com", "addrs", `{"equal": ["192.0.2.1", "192.0.2.2"]}`, Pass, ""},
		{"AAAA:www.example.com", "addrs", `{"equal": ["2001:db8::1"]}`, Pass, ""},
		{"www.example.com", "addrs", `{"consist-of": ["192.0.2.1", "192.0.2.2", "2001:db8::1"]}`, Pass, ""},
		{"CNAME:www.example.com", "addrs", `["cdn.example.com."]`, Pass, ""},
		{"MX:www.example.com", "addrs", `["10 mx.example.com."]`, Pass, ""},
		{"SRV:www.example.com", "addrs", `["1 2 443 s.example.com."]`, Pass, ""},
		{"TXT:www.example.com", "addrs", `["one", "two"]`, Pass, ""},
		{"CAA:www.example.com", "addrs", `["0 issue ca.example.net"]`, Pass, ""},
		{"SSHFP:www.example.com", "addrs", `["4 2 abcd"]`, Pass, ""},
		{"PTR:192.0.2.1", "addrs", `["www.example.com."]`, Pass, ""},
		{"NS:www.example.com", "resolvable", `true`, Fail, "no such record"},
		{"NS:www.example.com", "resolvable", `false`, Pass, ""},
		{"no.example.com", "resolvable", `true`, Fail, "no such host"},
		{"no.example.com", "resolvable", `false`, Pass, ""},
		{"no.example.com", "addrs", `{"consist-of": []}`, Fail, "no such host"},
		// A server that does not know, or does not answer, does not say no.
		{"A:broken.example.com", "resolvable", `false`, Fail, "code 2"},
		{"half.example.com", "resolvable", `false`, Fail, "code 2"},
		{"A:silent.example.com", "resolvable", `false`, Fail, "timed out after 200ms"},
		{"CNAME:bad.example.com", "resolvable", `false`, Fail, "malformed"},
		{"URI:www.example.com", "resolvable", `false`, Error, "cannot look up records of the type URI"},
		{"A:a..b", "resolvable", `false`, Error, "no name to look up"},
	} {
		t.Run(tt.id+" "+tt.property+" "+tt.want, func(t *testing.T) {
			d := &DNS{Server: server, Timeout: Duration(10 * time.Second)}
			if strings.Contains(tt.id, "silent") {
				d.Timeout = Duration(200 * time.Millisecond)
			}
			d.Key = tt.id
			setProperty(t, d, tt.property, tt.want)
			checkOne(t, d.Evaluate(t.Context(), new(System)), tt.property, tt.verdict, tt.message)
		})
	}
}

func TestDNSAsksAgain(t *testing.T) {
	asked := 0
	server := dnsServer(t, func(name string, qtype uint16) ([]string, byte, bool) {
		asked++
		return []string{"\x7f\x00\x00\x01"}, 0, asked == dnsTries
	})
	d := &DNS{Common: Common{Key: "A:x"}, Server: server, Timeout: Duration(500 * time.Millisecond), Resolvable: want(t, Bool, `true`)}
	checkOne(t, d.Evaluate(t.Context(), new(System)), "resolvable", Pass, "")
}

func TestDNSUsesTheGuestsServerForATypedQuestion(t *testing.T) {
	d := &DNS{Common: Common{Key: "MX:x"}, Resolvable: want(t, Bool, `true`)}
	sys := &System{FS: fstest.MapFS{"etc/resolv.conf": {Data: []byte("# nameserver 192.0.2.9\nsearch x\n")}}}
	checkOne(t, d.Evaluate(t.Context(), sys), "resolvable", Fail, "names no server")
}

func TestDNSOfThisMachineKnowsLocalhost(t *testing.T) {
	list := evaluate(t, new(System), "dns", "localhost", map[string]string{"addrs": `{"contain-element": {"have-prefix": "127."}}`})
	checkOne(t, list, "addrs", Pass, "")
}

func TestReverseName(t *testing.T) {
	for in, want := range map[string]string{
		"192.0.2.1":   "1.2.0.192.in-addr.arpa",
		"2001:db8::1": "1" + strings.Repeat(".0", 23) + ".8.b.d.0.1.0.0.2.ip6.arpa",
		"example.com": "example.com",
	} {
		if got := reverseName(in); got != want {
			t.Errorf("reverseName(%s) = %s", in, got)
		}
	}
}

func TestNameOfAnAnswer(t *testing.T) {
	for _, tt := range []struct {
		name, msg string
		at        int
		want      string
		next      int
		ok        bool
	}{
		{"plain", "\x03www\x02ex\x00", 0, "www.ex.", 8, true},
		{"the root", "\x00", 0, ".", 1, true},
		{"compressed", "\x02ex\x00\x03www\xc0\x00x", 4, "www.ex.", 10, true},
		{"a pointer to itself", "\xc0\x00", 0, "", 0, false},
		{"a loop", "\x01a\xc0\x00", 0, "", 0, false},
		{"a pointer ahead", "\xc0\x02\x00", 0, "", 0, false},
		{"a label past the end", "\x05ab", 0, "", 0, false},
		{"no end", "\x01a", 0, "", 0, false},
		{"half a pointer", "\xc0", 0, "", 0, false},
		{"a reserved form", "\x41a\x00", 0, "", 0, false},
		{"too long", strings.Repeat("\x3f"+strings.Repeat("a", 63), 5) + "\x00", 0, "", 0, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, next, ok := readName([]byte(tt.msg), tt.at)
			if ok != tt.ok || ok && (got != tt.want || next != tt.next) {
				t.Errorf("got %q, %d, %v", got, next, ok)
			}
		})
	}
}

func TestTruncatedAnswerIsAskedForOverTCP(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		head := make([]byte, 2)
		io.ReadFull(conn, head)
		msg := make([]byte, binary.BigEndian.Uint16(head))
		io.ReadFull(conn, msg)
		_, end, _ := readName(msg, headerLen)
		b := response(msg, end+4, typeA, 0, []string{"\x7f\x00\x00\x01"})
		conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(b))), b...))
	}()
	udp, err := net.ListenPacket("udp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer udp.Close()
	go func() {
		buf := make([]byte, 4096)
		n, from, err := udp.ReadFrom(buf)
		if err != nil {
			return
		}
		_, end, _ := readName(buf[:n], headerLen)
		b := response(buf[:n], end+4, typeA, 0, nil)
		b[2] |= 2
		udp.WriteTo(b, from)
	}()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	got, err := query(ctx, l.Addr().String(), "x", typeA)
	if err != nil || len(got) != 1 || got[0] != "127.0.0.1" {
		t.Errorf("got %v, %v", got, err)
	}
}

func FuzzDNSAnswer(f *testing.F) {
	for _, qtype := range recordTypes() {
		question, _ := appendQuestion(nil, "www.example.com", qtype)
		msg := append(make([]byte, headerLen), question...)
		msg[5] = 1
		texts, _, _ := records("www.example.com.", qtype)
		f.Add(response(msg, len(msg), qtype, 0, texts), qtype)
	}
	f.Fuzz(func(t *testing.T, msg []byte, qtype uint16) {
		question, err := appendQuestion(nil, "www.example.com", qtype)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := parseAnswer(msg, question, qtype); err == nil && len(got) == 0 {
			t.Error("no records and no error")
		}
	})
}
