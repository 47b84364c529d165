package refusals

import (
	"crypto/aes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"encoding/hex"
	"strconv"
	"strings"
	"time"
)

// A bucket names a row: a hash of what its refusals have in common.
type bucket [8]byte

func (b bucket) String() string { return hex.EncodeToString(b[:]) }

// bucketOf hashes texts without NUL.
func bucketOf(hour int64, texts ...string) (b bucket) {
	sum := sha256.Sum256([]byte(strings.Join(append(texts, strconv.FormatInt(hour, 10)), "\x00")))
	copy(b[:], sum[:])
	return b
}

// An error_id is one block of AES: the bucket, the second and 32 random bits. A block cipher with
// a secret key maps different blocks to different ones that all look random, so that nobody else
// sees whether two error_ids have a cause, a client or anything in common.

// idLength is how long an error_id is: like that of crypto/rand.Text, 130 bits in base32.
const idLength = 26

var letters = base32.StdEncoding.WithPadding(base32.NoPadding)

// seal makes a new error_id that leads to the bucket.
func (t *Tally) seal(b bucket, at time.Time) string {
	var block [aes.BlockSize + 1]byte
	copy(block[:], b[:])
	binary.BigEndian.PutUint32(block[8:], uint32(at.Unix()))
	rand.Read(block[12:]) // of the byte after the block, two bits make the last letter whole
	t.key.Encrypt(block[:aes.BlockSize], block[:aes.BlockSize])
	return letters.EncodeToString(block[:])[:idLength]
}

// open says where an error_id leads, and of which second it is. A forged one leads anywhere, which
// is where nothing is.
func (t *Tally) open(errorID string) (b bucket, at time.Time, ok bool) {
	text := strings.ToUpper(strings.TrimSpace(errorID)) // people copy it by hand
	block, err := letters.DecodeString(text)
	if err != nil || len(text) != idLength {
		return b, at, false
	}
	t.key.Decrypt(block, block)
	copy(b[:], block)
	return b, time.Unix(int64(binary.BigEndian.Uint32(block[8:])), 0).UTC(), true
}
