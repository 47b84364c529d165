package limits

import "strings"

// An Advice is how to keep tokens with what a client is written in.
type Advice struct {
	Library string
	Snippet string
}

// advices are by the beginning of the user agent.
var advices = []struct {
	begins []string
	Advice
}{
	{[]string{"Go-http-client", "Go "}, Advice{
		"golang.org/x/oauth2",
		"config := clientcredentials.Config{ClientID: id, ClientSecret: secret, TokenURL: url}\nclient := config.Client(ctx) // once, when the program starts; it keeps its token",
	}},
	{[]string{"python-requests", "python-httpx", "Python-urllib", "Authlib", "aiohttp", "Python"}, Advice{
		"Authlib",
		"client = OAuth2Session(id, secret, token_endpoint=url)  # once, for the life of the process\nif not client.token or client.token.is_expired(leeway=60):\n    client.fetch_token(grant_type=\"client_credentials\")",
	}},
	{[]string{"node", "undici", "axios", "got", "openid-client", "oauth4webapi"}, Advice{
		"Node",
		"let token, until = 0; // outside of any function\nasync function accessToken() {\n  if (Date.now() > until) {\n    const answer = await fetch(url, request).then((r) => r.json());\n    token = answer.access_token;\n    until = Date.now() + answer.expires_in * 900; // nine tenths of its life\n  }\n  return token;\n}",
	}},
	{[]string{"Java", "Apache-HttpClient", "okhttp", "ReactorNetty", "Jersey"}, Advice{
		"Spring Security",
		"// one AuthorizedClientServiceOAuth2AuthorizedClientManager bean keeps tokens for all threads:\nvar manager = new AuthorizedClientServiceOAuth2AuthorizedClientManager(registrations, authorizedClients);",
	}},
	{[]string{"IdentityModel", "Duende", "dotnet", ".NET", "RestSharp"}, Advice{
		"Duende.AccessTokenManagement",
		"services.AddDistributedMemoryCache();\nservices.AddClientCredentialsTokenManagement().AddClient(\"api\", c => { c.TokenEndpoint = url; c.ClientId = id; c.ClientSecret = secret; });",
	}},
	{[]string{"GuzzleHttp", "PHP", "Symfony"}, Advice{
		"PHP",
		"$token = $cache->get('access_token', function (ItemInterface $item) use ($provider) { // Symfony Cache, league/oauth2-client\n    $token = $provider->getAccessToken('client_credentials');\n    $item->expiresAfter((int) (0.9 * ($token->getExpires() - time())));\n    return $token->getToken();\n});",
	}},
	{[]string{"Ruby", "Faraday", "rest-client"}, Advice{
		"Ruby oauth2",
		"$token = client.client_credentials.get_token if $token.nil? || Time.now.to_i > $token.expires_at - 60",
	}},
	{[]string{"curl", "Wget", "HTTPie"}, Advice{
		"a shell",
		"# once in a run, not before each request; a token lives for expires_in seconds\nTOKEN=$(curl -s -u \"$ID:$SECRET\" -d grant_type=client_credentials \"$URL\" | jq -r .access_token)",
	}},
}

// AdviceFor is how to keep tokens with what calls itself so.
func AdviceFor(userAgent string) Advice {
	for _, a := range advices {
		for _, begins := range a.begins {
			if len(userAgent) >= len(begins) && strings.EqualFold(userAgent[:len(begins)], begins) {
				return a.Advice
			}
		}
	}
	return Advice{"any language", "Keep access_token until nine tenths of expires_in are over, in one place for all threads, and ask for another only then."}
}
