package polarserver

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/upmaru/icepak/cmd/internal/polarstore"
	"github.com/upmaru/icepak/cmd/internal/sigv4"
)

// The bucket speaks as much of S3 as it takes to upload files: whole or in parts,
// and to ask whether they are there. Nothing can be read or deleted.

const (
	maxObject   = 64 << 30
	maxPart     = 5 << 30
	maxComplete = 4 << 20 // of a list of parts
)

// A bucketHandler answers a request whose signature is right. Its body is the
// request's, and as long as size says.
type bucketHandler func(w http.ResponseWriter, r *http.Request, body io.Reader, size int64) error

// bucketRoutes adds the bucket to what a server serves.
func (s *server) bucketRoutes(mux *http.ServeMux) {
	signed := func(pattern string, h bucketHandler) { mux.Handle(pattern, s.handle(s.signed(h))) }
	const object = "/" + bucketName + "/{key...}"
	signed("GET "+object, s.getObject) // and HEAD
	signed("PUT "+object, s.putObject)
	signed("POST "+object, s.postUpload)
	signed("DELETE "+object, s.abortUpload)
	signed(object, s.refuse)
}

// signed lets requests through that are signed with the store's keys, and answers
// errors as S3 does.
func (s *server) signed(h bucketHandler) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		if err := s.serveSigned(w, r, h); err != nil {
			s.failBucket(w, r, err)
		}
		return nil
	}
}

func (s *server) serveSigned(w http.ResponseWriter, r *http.Request, h bucketHandler) error {
	keys, err := s.store.StorageKeys(r.Context())
	if err != nil {
		return err
	}
	signer := sigv4.Keys{Access: keys.AccessKey, Secret: string(keys.SecretKey), Region: bucketRegion}
	r.Body = io.NopCloser(patient(w, r))
	body, size, err := sigv4.Verify(r, signer, time.Now())
	if err != nil {
		return err
	}
	return h(w, r, body, size)
}

// refuse answers what the bucket does not do.
func (s *server) refuse(http.ResponseWriter, *http.Request, io.Reader, int64) error {
	return &sigv4.Error{Code: "MethodNotAllowed", Reason: "this bucket only takes uploads"}
}

// getObject tells what is known of an object, or without a key that the bucket is
// there, and where.
func (s *server) getObject(w http.ResponseWriter, r *http.Request, body io.Reader, size int64) error {
	type location struct {
		XMLName xml.Name `xml:"LocationConstraint"`
		Region  string   `xml:",chardata"`
	}
	key := r.PathValue("key")
	switch {
	case key == "":
		return answerXML(w, http.StatusOK, location{Region: bucketRegion})
	case r.Method != http.MethodHead:
		return s.refuse(w, r, body, size)
	}
	o, err := s.store.Object(r.Context(), key)
	if err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Length", strconv.FormatInt(o.Size, 10))
	h.Set("Content-Type", "application/octet-stream")
	h.Set("Last-Modified", o.Modified.Format(http.TimeFormat))
	setETag(w, o.ETag)
	return nil
}

// putObject takes a whole file, or a part of one.
func (s *server) putObject(w http.ResponseWriter, r *http.Request, body io.Reader, size int64) error {
	key, q := r.PathValue("key"), r.URL.Query()
	most := int64(maxObject)
	if q.Has("uploadId") {
		most = maxPart
	}
	if size > most {
		return &sigv4.Error{Code: "EntityTooLarge", Reason: "there are more than " + strconv.FormatInt(most, 10) + " bytes"}
	}
	digest, err := base64.StdEncoding.DecodeString(r.Header.Get("Content-Md5"))
	if err != nil {
		return &sigv4.Error{Code: "InvalidDigest", Reason: "Content-MD5 is malformed"}
	}
	content := polarstore.Content{Body: body, MD5: hex.EncodeToString(digest)}
	if !q.Has("uploadId") {
		o, err := s.store.PutObject(r.Context(), key, content)
		if err == nil {
			setETag(w, o.ETag)
		}
		return err
	}
	number, err := strconv.Atoi(q.Get("partNumber"))
	if err != nil {
		return polarstore.InvalidError{"partNumber": polarstore.Invalid}
	}
	etag, err := s.store.PutPart(r.Context(), key, q.Get("uploadId"), number, content)
	if err == nil {
		setETag(w, etag)
	}
	return err
}

// postUpload begins an upload in parts, or completes one.
func (s *server) postUpload(w http.ResponseWriter, r *http.Request, body io.Reader, size int64) error {
	switch q := r.URL.Query(); {
	case q.Has("uploads"):
		return s.beginUpload(w, r)
	case q.Has("uploadId"):
		return s.completeUpload(w, r, body, size)
	}
	return s.refuse(w, r, body, size)
}

func (s *server) beginUpload(w http.ResponseWriter, r *http.Request) error {
	type begun struct {
		XMLName     xml.Name `xml:"InitiateMultipartUploadResult"`
		Bucket, Key string
		UploadID    string `xml:"UploadId"`
	}
	key := r.PathValue("key")
	id, err := s.store.BeginUpload(r.Context(), key)
	if err != nil {
		return err
	}
	return answerXML(w, http.StatusOK, begun{Bucket: bucketName, Key: key, UploadID: id})
}

func (s *server) completeUpload(w http.ResponseWriter, r *http.Request, body io.Reader, size int64) error {
	type completed struct {
		XMLName                     xml.Name `xml:"CompleteMultipartUploadResult"`
		Location, Bucket, Key, ETag string
	}
	if size > maxComplete {
		return &sigv4.Error{Code: "EntityTooLarge", Reason: "the list of parts is too long"}
	}
	data, err := io.ReadAll(body)
	if err != nil {
		return err
	}
	var list struct {
		Part []struct {
			PartNumber int
			ETag       string
		}
	}
	if xml.Unmarshal(data, &list) != nil {
		return &sigv4.Error{Code: "MalformedXML", Reason: "the list of parts is malformed"}
	}
	var parts []polarstore.Part
	for _, p := range list.Part {
		parts = append(parts, polarstore.Part{Number: p.PartNumber, ETag: strings.Trim(p.ETag, `"`)})
	}
	key := r.PathValue("key")
	o, err := s.store.CompleteUpload(r.Context(), key, r.URL.Query().Get("uploadId"), parts)
	if err != nil {
		return err
	}
	return answerXML(w, http.StatusOK, completed{Location: r.URL.Path, Bucket: bucketName, Key: key, ETag: `"` + o.ETag + `"`})
}

func (s *server) abortUpload(w http.ResponseWriter, r *http.Request, body io.Reader, size int64) error {
	q := r.URL.Query()
	if !q.Has("uploadId") {
		return s.refuse(w, r, body, size)
	}
	if err := s.store.AbortUpload(r.Context(), r.PathValue("key"), q.Get("uploadId")); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func setETag(w http.ResponseWriter, etag string) { w.Header().Set("ETag", `"`+etag+`"`) }

// failBucket answers with S3's error for what went wrong.
func (s *server) failBucket(w http.ResponseWriter, r *http.Request, err error) {
	refusal, status := bucketError(err)
	if status >= http.StatusInternalServerError && r.Context().Err() == nil {
		s.log.Error("request failed", "route", r.Pattern, "error", err)
	}
	if status == http.StatusNotFound && r.Method == http.MethodHead {
		w.WriteHeader(status) // S3 says no more to HEAD
		return
	}
	type failure struct {
		XMLName       xml.Name `xml:"Error"`
		Code, Message string
	}
	_ = answerXML(w, status, failure{Code: refusal.Code, Message: refusal.Reason})
}

// bucketError finds S3's error and status for an error of the store's or of sigv4.
func bucketError(err error) (*sigv4.Error, int) {
	var own *sigv4.Error
	var missing *polarstore.NotFoundError
	var refused *polarstore.RefusedError
	var wrong polarstore.InvalidError
	switch {
	case errors.As(err, &own):
		return own, bucketStatus(own.Code)
	case errors.As(err, &missing) && missing.What == "upload":
		return &sigv4.Error{Code: "NoSuchUpload", Reason: "the upload was completed or given up"}, http.StatusNotFound
	case errors.As(err, &missing):
		return &sigv4.Error{Code: "NoSuchKey", Reason: "there is no such object"}, http.StatusNotFound
	case errors.Is(err, polarstore.ErrWrongMD5):
		return &sigv4.Error{Code: "BadDigest", Reason: "the body is not the one that Content-MD5 is of"}, http.StatusBadRequest
	case errors.As(err, &refused):
		return &sigv4.Error{Code: "AccessDenied", Reason: refused.Reason}, http.StatusForbidden
	case errors.As(err, &wrong):
		return &sigv4.Error{Code: "InvalidArgument", Reason: wrong.Error()}, http.StatusBadRequest
	case polarstore.IsFull(err):
		return &sigv4.Error{Code: "InsufficientStorage", Reason: diskFull}, http.StatusInsufficientStorage
	}
	return &sigv4.Error{Code: "InternalError", Reason: "the server failed"}, http.StatusInternalServerError
}

func bucketStatus(code string) int {
	switch code {
	case "AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "RequestTimeTooSkewed":
		return http.StatusForbidden
	case "MethodNotAllowed":
		return http.StatusMethodNotAllowed
	case "MissingContentLength":
		return http.StatusLengthRequired
	case "NotImplemented":
		return http.StatusNotImplemented
	}
	return http.StatusBadRequest
}

// answerXML writes the value as S3's clients expect it.
func answerXML(w http.ResponseWriter, status int, v any) error {
	data, err := xml.Marshal(v)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, xml.Header+string(data))
	return nil
}
