// Package sigv4 verifies requests that are signed as S3's clients do it: with AWS
// Signature Version 4, in the Authorization header. What is not signed is not
// trusted: neither a header of Amazon's, nor a byte of a body that has a hash.
package sigv4

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	algorithm  = "AWS4-HMAC-SHA256"
	timeFormat = "20060102T150405Z"
	service    = "s3"
	terminator = "aws4_request"
	maxSkew    = 15 * time.Minute
)

// What the header X-Amz-Content-Sha256 has in place of a hash.
const (
	unsigned  = "UNSIGNED-PAYLOAD"
	streaming = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
)

// An Error says why a request is refused, with S3's code for it.
type Error struct {
	Code   string
	Reason string
}

func (e *Error) Error() string { return e.Reason }

// Keys are what requests must be signed with.
type Keys struct {
	Access, Secret string
	Region         string
}

// Verify checks that the request was signed with the keys within the last quarter
// of an hour. It returns the request's body and how long it is; reading it fails
// where it is not the one that was signed. The error is an *Error.
func Verify(r *http.Request, keys Keys, now time.Time) (body io.Reader, size int64, err error) {
	auth, err := parse(r.Header.Get("Authorization"))
	if err != nil {
		return nil, 0, err
	}
	date, err := time.Parse(timeFormat, r.Header.Get("X-Amz-Date"))
	if err != nil {
		return nil, 0, &Error{"AccessDenied", "the request has no X-Amz-Date"}
	}
	switch {
	case subtle.ConstantTimeCompare([]byte(auth.access), []byte(keys.Access)) != 1:
		return nil, 0, &Error{"InvalidAccessKeyId", "the access key is not known here"}
	case now.Sub(date).Abs() > maxSkew:
		return nil, 0, &Error{"RequestTimeTooSkewed", "the request's time is too far from the server's"}
	case auth.scope != scope(date, keys.Region):
		return nil, 0, &Error{"AuthorizationHeaderMalformed", "the credential's scope is not " + scope(date, keys.Region)}
	}
	if err := signsEnough(r.Header, auth.headers); err != nil {
		return nil, 0, err
	}
	canonical, err := canonicalRequest(r, auth.headers)
	if err != nil {
		return nil, 0, err
	}
	s := &signer{key: signingKey(keys, date), date: date, scope: auth.scope}
	signature := s.sign(algorithm, hash256([]byte(canonical)))
	if !hmac.Equal([]byte(signature), []byte(auth.signature)) {
		return nil, 0, &Error{"SignatureDoesNotMatch", "the signature is not the one that the secret key makes"}
	}
	return signedBody(r, s, signature)
}

// signedBody returns the body behind the check that fits how it was signed.
func signedBody(r *http.Request, s *signer, signature string) (body io.Reader, size int64, err error) {
	if r.ContentLength < 0 {
		return nil, 0, &Error{"MissingContentLength", "the request does not say how long its body is"}
	}
	switch sum := r.Header.Get("X-Amz-Content-Sha256"); {
	case sum == unsigned:
		return r.Body, r.ContentLength, nil
	case sum == streaming:
		size, err := strconv.ParseInt(r.Header.Get("X-Amz-Decoded-Content-Length"), 10, 64)
		if err != nil || size < 0 {
			return nil, 0, &Error{"MissingContentLength", "the request has no X-Amz-Decoded-Content-Length"}
		}
		return newChunkReader(r.Body, s, signature, size), size, nil
	case len(sum) == hex.EncodedLen(sha256.Size):
		return &hashedReader{r: r.Body, hash: sha256.New(), want: sum}, r.ContentLength, nil
	}
	return nil, 0, &Error{"NotImplemented", "the body is not signed in a way that is known here"}
}

// An authorization is what the header Authorization says.
type authorization struct {
	access    string
	scope     string // date/region/s3/aws4_request
	headers   []string
	signature string
}

func parse(header string) (a authorization, err error) {
	rest, ok := strings.CutPrefix(header, algorithm+" ")
	if !ok {
		return a, &Error{"AccessDenied", "the request is not signed with " + algorithm}
	}
	for field := range strings.SplitSeq(rest, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(field), "=")
		switch name {
		case "Credential":
			a.access, a.scope, _ = strings.Cut(value, "/")
		case "SignedHeaders":
			a.headers = strings.Split(value, ";")
		case "Signature":
			a.signature = value
		}
	}
	if a.access == "" || a.scope == "" || len(a.headers) == 0 || a.signature == "" {
		return a, &Error{"AuthorizationHeaderMalformed", "the Authorization header lacks a field"}
	}
	return a, nil
}

// signsEnough refuses a signature that leaves out what decides about the request.
func signsEnough(h http.Header, signed []string) error {
	if !slices.Contains(signed, "host") {
		return &Error{"AccessDenied", "the header host is not signed"}
	}
	for name := range h {
		name = strings.ToLower(name)
		if (strings.HasPrefix(name, "x-amz-") || name == "content-md5") && !slices.Contains(signed, name) {
			return &Error{"AccessDenied", fmt.Sprintf("the header %q is not signed", name)}
		}
	}
	return nil
}

// canonicalRequest is the request as both sides write it down.
func canonicalRequest(r *http.Request, headers []string) (string, error) {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return "", &Error{"InvalidURI", "the request's query is malformed"}
	}
	var b strings.Builder
	b.WriteString(r.Method + "\n" + escapePath(r.URL.Path) + "\n")
	b.WriteString(strings.ReplaceAll(query.Encode(), "+", "%20") + "\n")
	for _, name := range headers {
		values := r.Header.Values(name)
		switch name {
		case "host":
			values = []string{r.Host}
		case "content-length":
			values = []string{strconv.FormatInt(r.ContentLength, 10)}
		}
		b.WriteString(name + ":")
		for i, v := range values {
			if i > 0 {
				b.WriteString(",")
			}
			b.WriteString(strings.Join(strings.Fields(v), " "))
		}
		b.WriteString("\n")
	}
	b.WriteString("\n" + strings.Join(headers, ";") + "\n" + r.Header.Get("X-Amz-Content-Sha256"))
	return b.String(), nil
}

// escapePath escapes all but slashes and what RFC 3986 calls unreserved.
func escapePath(path string) string {
	var b strings.Builder
	for i := range len(path) {
		switch c := path[i]; {
		case 'A' <= c && c <= 'Z', 'a' <= c && c <= 'z', '0' <= c && c <= '9', strings.IndexByte("/-._~", c) >= 0:
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

// A signer signs what belongs to one request.
type signer struct {
	key   []byte
	date  time.Time
	scope string
}

func (s *signer) sign(what string, parts ...string) string {
	text := append([]string{what, s.date.Format(timeFormat), s.scope}, parts...)
	return hex.EncodeToString(mac(s.key, strings.Join(text, "\n")))
}

func scope(date time.Time, region string) string {
	return strings.Join([]string{date.Format("20060102"), region, service, terminator}, "/")
}

func signingKey(keys Keys, date time.Time) []byte {
	key := []byte("AWS4" + keys.Secret)
	for _, part := range []string{date.Format("20060102"), keys.Region, service, terminator} {
		key = mac(key, part)
	}
	return key
}

func mac(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}

func hash256(p []byte) string {
	sum := sha256.Sum256(p)
	return hex.EncodeToString(sum[:])
}
