/**
 * Configuration of flowlift-load-balancer, as RFC 7951 JSON that libyang has validated.
 *
 * Pure: types only. Generated from the module by test/yang/schema-types.test.ts; do not edit.
 */

export interface FlowliftLoadBalancerData {
  readonly "flowlift-load-balancer:load-balancer"?: LoadBalancer;
}

export interface LoadBalancer {
  readonly "virtual-service"?: readonly LoadBalancerVirtualService[];
}

export interface LoadBalancerVirtualService {
  readonly name: string;
  readonly enabled?: boolean;
  readonly vip: string;
  readonly protocol?: "tcp" | "udp";
  readonly port: number;
  readonly scheduler?: "weighted-round-robin" | "source-hash";
  readonly "source-hash-seed"?: number;
  readonly "real-server"?: readonly LoadBalancerVirtualServiceRealServer[];
}

export interface LoadBalancerVirtualServiceRealServer {
  readonly name: string;
  readonly address: string;
  readonly port?: number;
  readonly weight?: number;
  readonly enabled?: boolean;
}
