/* SPDX-License-Identifier: GPL-2.0 */
/* What do the C files share with each other, and with Rust (crates/kmod)? */
#ifndef IPVL_H
#define IPVL_H

#include <linux/etherdevice.h>
#include <linux/if_link.h>
#include <linux/if_vlan.h>
#include <linux/netdevice.h>
#include <linux/netfilter.h>
#include <linux/rtnetlink.h>
#include <linux/workqueue.h>
#include <net/ipv6.h>
#include <net/net_namespace.h>

#include "compat.h"

/* ---- as Rust has it ---- */

struct ipvl_slot {
	struct net_device *dev;
	u64 word;
	void *groups;
	void *declared;
	u64 bucket;
	u32 netns, addresses;
};

struct ipvl_slots {
	struct rcu_head rcu;
	u32 len;
	u32 used;
	struct ipvl_slot at[];
};

struct ipvl_groups {
	struct rcu_head rcu;
	u64 len;
	u64 macs[];
};

/* The rest of it is Rust's alone. */
struct ipvl_tables {
	struct rcu_head rcu;
	struct ipvl_slots __rcu *slots;
};

/* A frame, or a packet, that Rust reads. */
struct ipvl_view {
	const u8 *head;
	u32 linear, len;
	const struct sk_buff *skb;
	u16 tci;
	u8 flags, pkt_type;
};

enum { IPVL_TAGGED = 1, IPVL_GSO = 2 };

/* core/src/verdict.rs: the action is the first byte of a verdict, its argument the upper half. */
enum { IPVL_DELIVER = 1, IPVL_FLOOD, IPVL_WIRE, IPVL_ROUTE, IPVL_ON_LINK, IPVL_HOST, IPVL_ANSWER, IPVL_DROP,
       IPVL_HOST_OUTPUT };
enum { IPVL_THEN_WIRE, IPVL_THEN_WIRE_AND_HOST, IPVL_THEN_HOST, IPVL_THEN_NOWHERE };
enum { IPVL_NO_SLAVE = 14, IPVL_FLOOD_LIMIT = 22, IPVL_CLONE_FAILED = 23, IPVL_ACTION_FAILED = 25 };
enum { IPVL_FLOOD_NOBODY, IPVL_FLOOD_BEGINS, IPVL_FLOOD_TOO_MUCH };
#define IPVL_DHCP 0x80ULL /* beside the action: see dhcp.c */
#define IPVL_REASONS 32
#define IPVL_ARGUMENT(verdict) ((u32)((verdict) >> 32))
#define IPVL_THEN(verdict) ((verdict) >> 8 & 0xf)

/* An address or a prefix, with a length in bits of these 16 bytes, and what is to be done: Rust's alone. */
struct ipvl_declaration {
	struct in6_addr addr;
	u8 len, verb, reserved[2];
};

/* What a netlink message says of a slave, and what Rust says to that. */
struct ipvl_request {
	u32 mode, flags;	/* IPVL_NOT_GIVEN if they are not in it */
	u32 value, selector;	/* of options */
	const struct ipvl_declaration *declared; /* or NULL */
};

struct ipvl_answer {
	int err;
	const char *text;	/* for the extack, or NULL */
};

/* A device has an address: the slave in a slot, or the host. */
struct ipvl_claim {
	u32 slot, netns;
};

/* An attribute of ours: options as core has them in a word, without mode and flag. */
#define IFLA_IPVLAN_OPTIONS 32
/* Another: in a change one ipvl_declaration, in a dump all of the slave. */
#define IFLA_IPVLAN_DECLARED 33
#define IPVL_NOT_GIVEN U32_MAX
/* core/src/options.rs: the mode is the lowest two bits of a slave's options, and has the numbers of IPVLAN_MODE_*. */
#define IPVL_MODE(options) ((u16)((options) & 3))

/* Stands for the host where Rust wants a slot. */
#define IPVL_SLOT_HOST U32_MAX
#define IPVL_NOBODY U32_MAX
/* Room for every frame that Rust writes: an ICMPv6 error is the longest. */
#define IPVL_REPLY 128

struct ipvl_tables *ipvl_tables_new(spinlock_t *lock);
void ipvl_tables_free(struct ipvl_tables *tables);
int ipvl_port_set(struct ipvl_tables *tables, u32 master, u32 mtu, const u8 *mac);
int ipvl_slot_take(struct ipvl_tables *tables, struct net_device *dev);
void ipvl_slot_set(struct ipvl_tables *tables, const struct ipvl_claim *claim, u32 ifindex, u32 options, bool up);
void ipvl_slot_join(struct ipvl_tables *tables, u32 slot, struct ipvl_groups *groups);
void ipvl_slot_free(struct ipvl_tables *tables, u32 slot);
int ipvl_addr_add(struct ipvl_tables *tables, const struct in6_addr *addr, const struct ipvl_claim *claim);
void ipvl_addr_del(struct ipvl_tables *tables, const struct in6_addr *addr, u32 slot);
struct ipvl_answer ipvl_addr_check(struct ipvl_tables *tables, const struct in6_addr *addr,
				   const struct ipvl_claim *claim);
struct ipvl_answer ipvl_declare(struct ipvl_tables *tables, const struct ipvl_declaration *wanted,
				const struct ipvl_claim *claim);
const struct ipvl_declaration *ipvl_declared(struct ipvl_tables *tables, u32 slot, u32 *bytes);
void ipvl_addrs_forget_host(struct ipvl_tables *tables);
int ipvl_addrs_grow(struct ipvl_tables *tables, u64 seed);
u64 ipvl_egress(struct ipvl_tables *tables, const struct ipvl_view *view, u32 slot);
u64 ipvl_ingress(struct ipvl_tables *tables, const struct ipvl_view *view);
u64 ipvl_output(struct ipvl_tables *tables, const struct ipvl_view *view);
int ipvl_l3s_receiver(struct ipvl_tables *tables, const struct in6_addr *addr);
u64 ipvl_route_refused(const struct ipvl_view *view, int err);
size_t ipvl_flood_next(struct ipvl_tables *tables, const struct ipvl_view *view, u64 verdict, u32 slot, u32 *out,
		       size_t room);
u32 ipvl_flood_begin(struct ipvl_tables *tables, const struct ipvl_view *view, u64 verdict, u32 waiting);
size_t ipvl_answer(struct ipvl_tables *tables, const struct ipvl_view *view, u8 *out, size_t room);
u32 ipvl_dhcp_growth(struct ipvl_tables *tables, const struct ipvl_view *view, u64 verdict, u32 from);
void ipvl_dhcp_write(struct ipvl_tables *tables, const struct ipvl_view *view, u64 verdict, u32 from, u32 grown,
		     bool is_begun);
bool ipvl_is_told(u64 verdict);
size_t ipvl_icmp_error(struct ipvl_tables *tables, const struct ipvl_view *view, u64 verdict, u32 mtu,
		       const struct in6_addr *router, u8 *out, size_t room);
struct ipvl_answer ipvl_options_check(const struct ipvl_request *request);
u32 ipvl_options_default(void);
u32 ipvl_options_changed(u32 options, const struct ipvl_request *request);
u16 ipvl_options_flags(u32 options);
bool ipvl_options_host(u32 options);
u32 ipvl_options_ours(void);
bool ipvl_reason_name(u32 number, char *out, size_t room);

/* What Rust calls (glue.c). What it frees begins with a head. */
struct ipvl_memory {
	struct rcu_head rcu;
};

void *ipvl_c_alloc(size_t size, bool may_wait);
void ipvl_c_free(struct ipvl_memory *memory);
void ipvl_c_lock(spinlock_t *lock);
void ipvl_c_unlock(spinlock_t *lock);
u64 ipvl_c_now(void);
int ipvl_c_read(const struct ipvl_view *view, u32 offset, u8 *to, u32 len);

/* ---- C's own ---- */

/* Drops by reason, of each CPU. */
struct ipvl_drops {
	u32 of[IPVL_REASONS];
};

/* Routes that were used last, of each CPU (route.c). */
struct ipvl_routes;

/* A master with its slaves. Changed under RTNL; tables under the lock. */
struct ipvl_port {
	struct net_device *dev;
	struct ipvl_tables *tables;
	spinlock_t lock;
	possible_net_t net;
	struct list_head slaves;
	struct list_head all;		/* in ipvl_ports, for readers (RCU) */
	u32 count;			/* slaves that have a slot, or are about to */
	u32 l3s;			/* of them, in mode l3s */
	u32 host;			/* of them, with host access */
	struct nf_hook_ops output;	/* registered while there are such */
	struct sk_buff_head backlog;	/* frames to be copied to slaves */
	atomic_t queued;		/* of them, from outside */
	struct work_struct flood;
	struct work_struct grow;
	struct ipvl_drops __percpu *drops; /* of what comes from outside */
	struct ipvl_routes __percpu *routes;
};

struct ipvl_slave {
	struct net_device *dev;
	struct net_device *master;
	netdevice_tracker master_tracker;
	struct ipvl_port *port;
	struct list_head list;
	struct ipvl_drops __percpu *drops;
	atomic_t queued;
	u32 slot;
	u32 options;			/* core's, see IPVL_MODE */
	bool l3s, host;			/* counted in the port's */
	u32 msg_enable;
	netdev_features_t features;	/* of those it may have: a monitor knows */
};

/* Reads what belongs to a slave's device. */
static inline struct ipvl_slave *ipvl_slave_of(const struct net_device *dev)
{
	return netdev_priv(dev);
}

extern struct list_head ipvl_ports;
extern const struct net_device_ops ipvl_netdev_ops;
extern const struct ethtool_ops ipvl_ethtool_ops;
extern struct rtnl_link_ops ipvl_link_ops;
extern struct notifier_block ipvl_device_nb;

static inline bool ipvl_is_slave(const struct net_device *dev)
{
	return dev->netdev_ops == &ipvl_netdev_ops;
}

/* The device in a slot, for readers. */
static inline struct net_device *ipvl_dev_in(const struct ipvl_port *port, u32 slot)
{
	const struct ipvl_slots *slots = rcu_dereference_check(port->tables->slots, rcu_read_lock_bh_held());

	return likely(slot < slots->len) ? READ_ONCE(slots->at[slot].dev) : NULL;
}

/* Reads a frame, or a packet, that begins at `head`; its data may begin elsewhere. */
static inline void ipvl_view(struct ipvl_view *view, const struct sk_buff *skb, const u8 *head)
{
	u32 before = skb->data - head;

	*view = (struct ipvl_view){
		.head = head,
		.linear = skb_headlen(skb) + before,
		.len = skb->len + before,
		.skb = skb,
		.tci = skb->vlan_tci,
		.flags = (skb_vlan_tag_present(skb) ? IPVL_TAGGED : 0) | (skb_is_gso(skb) ? IPVL_GSO : 0),
		.pkt_type = skb->pkt_type,
	};
}

/* Acts: the text of an answer becomes the message's. */
static inline int ipvl_tell(struct ipvl_answer answer, struct netlink_ext_ack *extack)
{
	if (extack && answer.text)
		extack->_msg = answer.text;
	return answer.err;
}

/* Reads: the type that a frame's address says. */
static inline u8 ipvl_pkt_type(const struct sk_buff *skb)
{
	if (!is_multicast_ether_addr(eth_hdr(skb)->h_dest))
		return PACKET_HOST;
	return is_broadcast_ether_addr(eth_hdr(skb)->h_dest) ? PACKET_BROADCAST : PACKET_MULTICAST;
}

/* link.c; ipvtap.c uses it as well */
int ipvl_link_register(struct rtnl_link_ops *ops);
void ipvl_link_setup(struct net_device *dev);
int ipvl_link_new(struct net *net, struct net_device *dev, struct nlattr *tb[], struct nlattr *data[],
		  struct netlink_ext_ack *extack);
void ipvl_link_delete(struct net_device *dev, struct list_head *head);
/* port.c */
struct ipvl_port *ipvl_port_of(const struct net_device *dev);
bool ipvl_is_master(const struct net_device *dev);
int ipvl_port_create(struct net_device *dev);
void ipvl_port_put(struct ipvl_port *port);
void ipvl_slave_tell(struct ipvl_slave *s, bool up);
/* device.c */
void ipvl_slave_free(struct net_device *dev);
/* address.c */
struct ipvl_claim ipvl_claim_of(const struct net_device *dev);
void ipvl_address_init(void);
void ipvl_address_exit(void);
void ipvl_host_addresses(struct ipvl_port *port);
void ipvl_slave_addresses(struct ipvl_slave *s);
int ipvl_slave_declare(struct ipvl_slave *s, const struct ipvl_declaration *wanted, struct netlink_ext_ack *extack);
/* xmit.c */
bool ipvl_send_answer(struct ipvl_port *port, const struct ipvl_view *view, struct net_device *to, bool received);
bool ipvl_to_sibling(struct net_device *to, struct sk_buff *skb);
netdev_tx_t ipvl_xmit(struct sk_buff *skb, struct net_device *dev);
rx_handler_result_t ipvl_receive(struct sk_buff **pskb);
void ipvl_count_rx(struct net_device *dev, unsigned int len, bool ok, bool multicast);
/* route.c */
struct ipvl_routes __percpu *ipvl_routes_new(void);
void ipvl_routes_forget(struct ipvl_port *port);
int ipvl_route(struct ipvl_port *port, struct sk_buff *skb, int out, bool v4);
/* drop.c */
void ipvl_count_drop(const struct net_device *dev, struct ipvl_drops __percpu *drops, const struct sk_buff *skb,
		     u32 reason);
void ipvl_drop(const struct net_device *dev, struct ipvl_drops __percpu *drops, struct sk_buff *skb, u32 reason);
void ipvl_read_drops(const struct ipvl_drops __percpu *drops, u64 *data);
/* flood.c */
void ipvl_flood(struct ipvl_port *port, struct ipvl_slave *from, struct sk_buff *skb, const struct ipvl_view *view,
		u64 verdict);
void ipvl_flood_work(struct work_struct *work);
/* dhcp.c */
u64 ipvl_dhcp(struct ipvl_port *port, struct sk_buff *skb, struct ipvl_view *view, u64 verdict, u32 from);
/* l3s.c */
int ipvl_l3s_hooks(struct ipvl_port *port, bool on);
/* host.c */
DECLARE_PER_CPU(const struct sk_buff *, ipvl_sending);
int ipvl_host_hook(struct ipvl_port *port, bool on);
/* hooks.c */
int ipvl_hooks_need(struct ipvl_slave *s, u32 options);
void ipvl_hooks_settle(struct ipvl_slave *s, u32 options);
void ipvl_hooks_leave(struct ipvl_port *port);
void ipvl_hooks_enter(struct ipvl_port *port);

#endif
