import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.cert.CertPathBuilder;
import java.security.cert.CertStore;
import java.security.cert.CollectionCertStoreParameters;
import java.security.cert.PKIXBuilderParameters;
import java.security.cert.TrustAnchor;
import java.security.cert.X509CertSelector;
import java.security.cert.X509Certificate;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Date;
import java.util.List;
import java.util.Set;
import org.bouncycastle.asn1.cms.Attribute;
import org.bouncycastle.asn1.pkcs.PKCSObjectIdentifiers;
import org.bouncycastle.cert.X509CertificateHolder;
import org.bouncycastle.cert.jcajce.JcaX509CertificateConverter;
import org.bouncycastle.cms.CMSProcessableByteArray;
import org.bouncycastle.cms.CMSSignedData;
import org.bouncycastle.cms.SignerId;
import org.bouncycastle.cms.SignerInformation;
import org.bouncycastle.cms.jcajce.JcaSimpleSignerInfoVerifierBuilder;
import org.bouncycastle.jce.provider.BouncyCastleProvider;
import org.bouncycastle.openssl.PEMParser;
import org.bouncycastle.tsp.TimeStampToken;
import org.bouncycastle.tsp.TimeStampTokenInfo;
import org.bouncycastle.util.Selector;
import org.bouncycastle.util.Store;

/**
 * Verifies detached CMS signatures with Bouncy Castle, all in one run.
 *
 * <p>Each argument is NAME,FOLDER,CONTENT,SIGNATURE,ROOT,SECONDS: files in FOLDER, and the time for the certificate
 * paths. Prints one line for each: NAME accepted SECONDS (of the embedded time-stamp), or NAME STEP: what was refused.
 */
public final class VerifyCms {
    private static final BouncyCastleProvider BC = new BouncyCastleProvider();

    private String step = "signature";

    public static void main(String[] arguments) {
        for (String argument : arguments) {
            VerifyCms run = new VerifyCms();
            String[] fields = argument.split(",");
            String result;
            try {
                result = "accepted " + run.verify(fields).getTime() / 1000;
            } catch (Exception refused) {
                result = run.step + ": " + refused;
            }
            System.out.println(fields[0] + " " + result.replace('\n', ' '));
        }
    }

    private Date verify(String[] fields) throws Exception {
        Path folder = Path.of(fields[1]);
        byte[] content = Files.readAllBytes(folder.resolve(fields[2]));
        CMSSignedData message =
            new CMSSignedData(new CMSProcessableByteArray(content), Files.readAllBytes(folder.resolve(fields[3])));
        X509Certificate root = readRoot(folder.resolve(fields[4]));
        Date at = new Date(Long.parseLong(fields[5]) * 1000);

        Collection<SignerInformation> signers = message.getSignerInfos().getSigners();
        require(signers.size() == 1, signers.size() + " signers");
        SignerInformation signer = signers.iterator().next();
        X509CertificateHolder leaf = find(message.getCertificates(), signer.getSID());
        require(signer.verify(new JcaSimpleSignerInfoVerifierBuilder().setProvider(BC).build(leaf)), "not by the leaf");

        step = "chain";
        checkPath(leaf, message.getCertificates(), root, at);

        step = "timestamp";
        Attribute attribute = signer.getUnsignedAttributes().get(PKCSObjectIdentifiers.id_aa_signatureTimeStampToken);
        require(attribute.getAttrValues().size() == 1, "not one token");
        byte[] encoded = attribute.getAttrValues().getObjectAt(0).toASN1Primitive().getEncoded();
        TimeStampToken token = new TimeStampToken(new CMSSignedData(encoded));
        X509CertificateHolder authority = find(token.getCertificates(), token.getSID());
        token.validate(new JcaSimpleSignerInfoVerifierBuilder().setProvider(BC).build(authority));
        byte[] digest = MessageDigest.getInstance("SHA-256").digest(signer.getSignature());
        TimeStampTokenInfo info = token.getTimeStampInfo();
        require(MessageDigest.isEqual(digest, info.getMessageImprintDigest()), "over something else");
        checkPath(authority, token.getCertificates(), root, info.getGenTime());
        return info.getGenTime();
    }

    @SuppressWarnings("unchecked") // older versions declare SignerId as a bare Selector
    private static X509CertificateHolder find(Store<X509CertificateHolder> store, SignerId signer) {
        return store.getMatches((Selector<X509CertificateHolder>) signer).iterator().next();
    }

    /** RFC 5280 section 6 from the root as the only trust anchor; there are no CRLs. */
    private static void checkPath(
        X509CertificateHolder holder, Store<X509CertificateHolder> included, X509Certificate root, Date at)
        throws Exception {
        JcaX509CertificateConverter converter = new JcaX509CertificateConverter().setProvider(BC);
        X509Certificate certificate = converter.getCertificate(holder);
        List<X509Certificate> known = new ArrayList<>();
        for (X509CertificateHolder each : included.getMatches(null)) {
            known.add(converter.getCertificate(each));
        }
        X509CertSelector target = new X509CertSelector();
        target.setCertificate(certificate);
        PKIXBuilderParameters parameters = new PKIXBuilderParameters(Set.of(new TrustAnchor(root, null)), target);
        parameters.addCertStore(
            CertStore.getInstance("Collection", new CollectionCertStoreParameters(known), BC));
        parameters.setRevocationEnabled(false);
        parameters.setDate(at);
        CertPathBuilder.getInstance("PKIX", BC).build(parameters);
    }

    private static X509Certificate readRoot(Path file) throws Exception {
        try (PEMParser parser = new PEMParser(Files.newBufferedReader(file))) {
            X509CertificateHolder holder = (X509CertificateHolder) parser.readObject();
            return new JcaX509CertificateConverter().setProvider(BC).getCertificate(holder);
        }
    }

    private static void require(boolean holds, String otherwise) {
        if (!holds) {
            throw new IllegalArgumentException(otherwise);
        }
    }
}
