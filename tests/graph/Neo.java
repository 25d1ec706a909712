import java.nio.file.Path;
import java.util.Map;
import org.neo4j.configuration.GraphDatabaseSettings;
import org.neo4j.configuration.connectors.BoltConnector;
import org.neo4j.configuration.helpers.SocketAddress;
import org.neo4j.dbms.api.DatabaseManagementService;
import org.neo4j.dbms.api.DatabaseManagementServiceBuilder;

/** Neo.java FOLDER PORT: a Neo4j on the loopback interface until standard input ends; NEO4J_PASSWORD is the password of `neo4j`. */
public class Neo {
    public static void main(String[] arguments) throws Exception {
        DatabaseManagementService server = new DatabaseManagementServiceBuilder(Path.of(arguments[0]))
            .setConfig(BoltConnector.enabled, true)
            .setConfig(BoltConnector.listen_address, new SocketAddress("127.0.0.1", Integer.parseInt(arguments[1])))
            .setConfig(GraphDatabaseSettings.auth_enabled, true)
            .setConfig(GraphDatabaseSettings.pagecache_memory, 64L << 20)
            .build();
        setPassword(server, System.getenv("NEO4J_PASSWORD"));
        Runtime.getRuntime().addShutdownHook(new Thread(server::shutdown));
        System.out.println("READY");
        while (System.in.read() >= 0) {
            continue;
        }
        System.exit(0); // whoever started it has asked for its end, or is gone
    }

    /** A folder that was used before may have it already; setting the same one again is refused. */
    private static void setPassword(DatabaseManagementService server, String password) {
        String users = "SHOW USERS YIELD user, passwordChangeRequired WHERE user = 'neo4j' RETURN passwordChangeRequired AS is_new";
        try (var tx = server.database("system").beginTx()) {
            boolean isNew = (Boolean) tx.execute(users).next().get("is_new");
            if (isNew) {
                tx.execute("ALTER USER neo4j SET PASSWORD $new CHANGE NOT REQUIRED", Map.of("new", password)).close();
            }
            tx.commit();
        }
    }
}
