// A resource server that checks Wardkey's tokens with the JDK, 17 or later, and Gson for JSON.

import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.math.BigInteger;
import java.net.InetSocketAddress;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.security.KeyFactory;
import java.security.PublicKey;
import java.security.Signature;
import java.security.spec.RSAPublicKeySpec;
import java.security.spec.X509EncodedKeySpec;
import java.time.Duration;
import java.time.Instant;
import java.util.Base64;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;

public class Api {
  static final String ISSUER = System.getenv("ISSUER"), AUDIENCE = System.getenv("AUDIENCE");
  static final List<Set<String>> NEEDED = // one of each
      List.of(Set.of("section:nordic", "section:*"), Set.of("email:read", "*:read"));

  /** How Java names the algorithms of RFC 7518. What is not here is refused. */
  static final Map<String, String> ALGORITHMS = Map.of(
      "ES256", "SHA256withECDSAinP1363Format", "RS256", "SHA256withRSA", "EdDSA", "Ed25519");

  record Key(String alg, PublicKey key) {}

  record Answer(int status, String challenge) {}

  static final Answer ALLOWED = new Answer(200, null), ABSENT = new Answer(401, "Bearer"),
      INVALID = new Answer(401, "Bearer error=\"invalid_token\""),
      INSUFFICIENT = new Answer(403, "Bearer error=\"insufficient_scope\"");

  static volatile Map<String, Key> keys; // by kid

  public static void main(String[] args) throws Exception {
    fetchKeys();
    long age = Long.parseLong(System.getenv("KEYS_AGE"));
    Executors.newSingleThreadScheduledExecutor().scheduleWithFixedDelay(Api::fetchKeysAgain, age, age, TimeUnit.SECONDS);
    int port = Integer.parseInt(System.getenv("PORT"));
    HttpServer server = HttpServer.create(new InetSocketAddress("127.0.0.1", port), 0);
    server.createContext("/sections/nordic/profiles", Api::profiles);
    server.setExecutor(Executors.newCachedThreadPool());
    server.start();
  }

  static void profiles(HttpExchange exchange) throws IOException {
    try (exchange) {
      Answer answer = check(exchange.getRequestHeaders().get("Authorization"));
      if (answer.challenge != null) exchange.getResponseHeaders().set("WWW-Authenticate", answer.challenge);
      byte[] body = answer == ALLOWED ? "hello\n".getBytes(StandardCharsets.UTF_8) : new byte[0];
      exchange.sendResponseHeaders(answer.status, body.length == 0 ? -1 : body.length);
      exchange.getResponseBody().write(body);
    }
  }

  static Answer check(List<String> fields) {
    if (fields == null || fields.size() != 1) return ABSENT;
    String field = fields.get(0);
    if (!field.regionMatches(true, 0, "Bearer ", 0, 7)) return ABSENT;
    try {
      JsonObject claims = verified(field.substring(7));
      List<String> scope = claims.has("scope") ? List.of(claims.get("scope").getAsString().split(" ")) : List.of();
      return NEEDED.stream().allMatch(values -> values.stream().anyMatch(scope::contains)) ? ALLOWED : INSUFFICIENT;
    } catch (GeneralSecurityException | RuntimeException err) { // Gson's are the latter
      return INVALID;
    }
  }

  /** Returns the claims of a token, or throws if anything about it is not as it must be. */
  static JsonObject verified(String token) throws GeneralSecurityException {
    String[] parts = token.split("\\.", -1);
    must(parts.length == 3);
    JsonObject header = json(parts[0]);
    must(header.get("typ").getAsString().equals("at+jwt") && !header.has("crit"));
    Key key = keys.get(header.get("kid").getAsString());
    must(key != null && key.alg.equals(header.get("alg").getAsString()));
    Signature signature = Signature.getInstance(ALGORITHMS.get(key.alg));
    signature.initVerify(key.key);
    signature.update((parts[0] + "." + parts[1]).getBytes(StandardCharsets.US_ASCII));
    must(signature.verify(bytes(parts[2])));

    JsonObject claims = json(parts[1]);
    long now = Instant.now().getEpochSecond();
    must(claims.get("iss").getAsString().equals(ISSUER));
    var aud = claims.get("aud");
    must(aud.isJsonArray() ? aud.getAsJsonArray().contains(JsonParser.parseString('"' + AUDIENCE + '"')) : aud.getAsString().equals(AUDIENCE));
    must(claims.getAsJsonPrimitive("exp").isNumber() && claims.get("exp").getAsBigDecimal().longValueExact() > now);
    must(!claims.has("nbf") || claims.get("nbf").getAsLong() <= now);
    must(!claims.has("cnf")); // otherwise bound to a key, so not for the bearer alone
    return claims;
  }

  static void must(boolean condition) throws GeneralSecurityException {
    if (!condition) throw new GeneralSecurityException("invalid token");
  }

  static JsonObject json(String part) {
    return JsonParser.parseString(new String(bytes(part), StandardCharsets.UTF_8)).getAsJsonObject();
  }

  static byte[] bytes(String base64url) {
    return Base64.getUrlDecoder().decode(base64url);
  }

  static final HttpClient CLIENT = HttpClient.newBuilder().connectTimeout(Duration.ofSeconds(5)).build();

  static void fetchKeys() throws Exception {
    HttpRequest request = HttpRequest.newBuilder(URI.create(ISSUER + "/.well-known/jwks.json")).timeout(Duration.ofSeconds(10)).build();
    String text = CLIENT.send(request, HttpResponse.BodyHandlers.ofString()).body();
    Map<String, Key> found = new HashMap<>();
    for (var element : JsonParser.parseString(text).getAsJsonObject().getAsJsonArray("keys")) {
      JsonObject jwk = element.getAsJsonObject();
      String alg = jwk.get("alg").getAsString();
      if (ALGORITHMS.containsKey(alg)) found.put(jwk.get("kid").getAsString(), new Key(alg, publicKey(alg, jwk)));
    }
    keys = Map.copyOf(found);
  }

  /** Goes on with the last keys while the issuer is away. */
  static void fetchKeysAgain() {
    try {
      fetchKeys();
    } catch (Exception err) {
      System.err.println("fetch keys: " + err);
    }
  }

  static PublicKey publicKey(String alg, JsonObject jwk) throws GeneralSecurityException {
    return switch (alg) {
      case "RS256" -> KeyFactory.getInstance("RSA").generatePublic(new RSAPublicKeySpec(
          new BigInteger(1, bytes(jwk.get("n").getAsString())), new BigInteger(1, bytes(jwk.get("e").getAsString()))));
      case "ES256" -> der("EC", "3059301306072a8648ce3d020106082a8648ce3d03010703420004", jwk, "x", "y");
      default -> der("Ed25519", "302a300506032b6570032100", jwk, "x");
    };
  }

  /** Reads a key whose form as DER is a constant and its coordinates. */
  static PublicKey der(String kind, String prefix, JsonObject jwk, String... coordinates) throws GeneralSecurityException {
    StringBuilder text = new StringBuilder(prefix);
    for (String name : coordinates) text.append(HexFormat.of().formatHex(bytes(jwk.get(name).getAsString())));
    return KeyFactory.getInstance(kind).generatePublic(new X509EncodedKeySpec(HexFormat.of().parseHex(text)));
  }
}
