/*
 * librdkafka's mock cluster as a program, for answers that a real broker
 * cannot be made to give.
 *
 *   mock TOPIC [PARTITIONS]    one broker with that topic; prints its address
 *
 * Each line on its input, "CODE COUNT", makes the next COUNT Produce requests
 * fail with that error and is answered "ok".  It ends with its input.
 */

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <stdio.h>
#include <stdlib.h>


#define PRODUCE  0      /* ApiKey */


static int
serve(rd_kafka_mock_cluster_t *cluster)
{
    int  code, count, i;

    while (scanf("%d %d", &code, &count) == 2) {

        for (i = 0; i < count; i++) {
            rd_kafka_mock_push_request_errors(cluster, PRODUCE, 1,
                                              (rd_kafka_resp_err_t) code);
        }

        if (printf("ok\n") < 0 || fflush(stdout) != 0) {
            return 1;
        }
    }

    return 0;
}


int
main(int argc, char **argv)
{
    char                      errstr[256];
    int                       partitions, status;
    rd_kafka_t               *rk;
    rd_kafka_mock_cluster_t  *cluster;

    if (argc < 2) {
        (void) fprintf(stderr, "usage: mock TOPIC [PARTITIONS]\n");
        return 2;
    }

    partitions = argc > 2 ? (int) strtol(argv[2], NULL, 10) : 1;

    rk = rd_kafka_new(RD_KAFKA_PRODUCER, NULL, errstr, sizeof(errstr));
    cluster = rk ? rd_kafka_mock_cluster_new(rk, 1) : NULL;

    if (cluster == NULL
        || rd_kafka_mock_topic_create(cluster, argv[1], partitions, 1)
           != RD_KAFKA_RESP_ERR_NO_ERROR)
    {
        (void) fprintf(stderr, "could not start a cluster\n");
        return 1;
    }

    (void) printf("%s\n", rd_kafka_mock_cluster_bootstraps(cluster));
    (void) fflush(stdout);

    status = serve(cluster);

    rd_kafka_mock_cluster_destroy(cluster);
    rd_kafka_destroy(rk);

    return status;
}
