package AI::MXNet::Executor::Sparse;
use 5.014;
use strict;
use warnings;
use AI::MXNet::Keshi;
use AI::MXNet::AutoGrad;
use AI::MXNet::Executor;
use AI::MXNet::NDArray::Sparse;
use JSON::PP ();

# An executor of a graph with sparse arrays. These are Perl objects, so the graph is walked here: every node is a call of the
# operator's method, which knows what to do with them, and the tape goes back.

our @ISA = ('AI::MXNet::Executor');    ## no critic (ProhibitExplicitISA)

# Whether a graph on these arrays has anything sparse in it.
sub is_wanted
{
    my ($symbol, @arrays) = @_;
    return 1 if grep { defined and $_->stype ne 'default' } @arrays;
    return $symbol->tojson =~ /"op": "cast_storage"/;
}

sub new
{
    my ($class, %field) = @_;
    my $self = bless {%field}, ref $class || $class;
    my @grads = @{ $self->{grads} // [] };
    $self->{requests} = [map { defined $grads[$_] ? $self->{requests}[$_] : 'null' } 0 .. $#{ $self->{args} }];
    my $graph = JSON::PP->new->decode($self->{symbol}->tojson);
    my %is_aux = map { $_ => 1 } @{ $self->{symbol}->list_auxiliary_states };
    my ($arg, $aux) = (0, 0);
    $self->{plan} = [
        map {
            my $node = $_;
            $node->{op} eq 'null'
                ? { $is_aux{ $node->{name} } ? (aux => $aux++) : (arg => $arg++) }
                : { op => $node->{op}, params => _params($node), inputs => $node->{inputs} }
        } @{ $graph->{nodes} }
    ];
    $self->{heads_at} = $graph->{heads};
    return $self;
}

# Of a node's attributes those that are parameters.
sub _params
{
    my $node = shift;
    my $attrs = $node->{attrs} // {};
    my @names = map { $_->{name} } @{ AI::MXNet::Keshi::operator($node->{op})->{params} };
    return { map { $_ => $attrs->{$_} } grep { defined $attrs->{$_} } @names };
}

# Handles of our own on the arguments: the history must not reach the caller's.
sub _variables
{
    my ($self, $is_recorded) = @_;
    my @args = map { $_->detach } @{ $self->{args} };
    $self->{leaves} = [];
    return \@args if not $is_recorded;
    my @at = grep { $self->{requests}[$_] ne 'null' } 0 .. $#args;
    my ($grads, $requests) = @$self{qw(grads requests)};
    AI::MXNet::AutoGrad->mark_variables([@args[@at]], [@$grads[@at]], grad_reqs => [@$requests[@at]]);
    $self->{leaves} = [map { [$args[$_], $grads->[$_], $requests->[$_]] } @at];
    return \@args;
}

sub _run
{
    my ($self, $is_train, $is_recorded) = @_;
    my $args = $self->_variables($is_recorded);
    my $names = $self->{monitor} ? [@{ $self->{symbol}->get_internals->list_outputs }] : undef;
    my @values;
    for my $node (@{ $self->{plan} }) {
        if (not $node->{op}) {
            push @values, [defined $node->{arg} ? $args->[$node->{arg}] : $self->{aux}[$node->{aux}]];
            shift @$names if $names;
            next;
        }
        my $operator = $node->{op};
        my @inputs = map { $values[$_->[0]][$_->[1]] } @{ $node->{inputs} };
        my $result = AI::MXNet::NDArray->$operator(@inputs, $node->{params});
        push @values, ref $result eq 'ARRAY' ? $result : [$result];
        if ($names) { $self->{monitor}->(shift @$names, $_->detach) for @{ $values[-1] } }
    }
    $self->{is_train} = $is_train;
    $self->{heads} = undef;
    my @outputs = map { $values[$_->[0]][$_->[1]] } @{ $self->{heads_at} };
    $self->{heads} = [map { $_->stype eq 'default' ? $_ : $_->dense } @outputs] if $is_recorded;
    return \@outputs;
}

sub _compute
{
    my ($self, $is_train, $is_recorded) = @_;
    my $mode = $is_recorded ? 'record' : 'pause';
    my $outputs;
    AI::MXNet::AutoGrad->$mode(sub { $outputs = $self->_run($is_train, $is_recorded) },
        train_mode => $is_train ? 1 : 0);
    my $known = $self->{outputs} //= [];
    AI::MXNet::AutoGrad->pause(
        sub {
            for my $i (0 .. $#$outputs) {
                my ($new, $old) = ($outputs->[$i], $known->[$i]);
                if ($old and $old->stype eq $new->stype and "@{ $old->shape }" eq "@{ $new->shape }") {
                    $old->set($new);
                } else {
                    $known->[$i] = $new->detach;
                }
            }
        }
    );
    return;
}

sub forward
{
    my ($self, @args) = @_;
    my $is_train = @args % 2 ? shift @args : 0;
    $self->_assign(@args);
    my $wants = grep { $_ ne 'null' } @{ $self->{requests} };
    $self->_compute($is_train, $is_train && $wants);
    return $self->{outputs};
}

sub outputs
{
    my $self = shift;
    $self->_compute(0, 0) if not $self->{outputs};
    return $self->{outputs};
}

sub backward
{
    my ($self, $out_grads, $is_train) = @_;
    $out_grads = $self->_head_grads($out_grads);
    return if not grep { $_ ne 'null' } @{ $self->{requests} };
    $self->_compute($self->{is_train}, 1) if not $self->{heads};
    $_->[0]->_fresh_grad(0) for @{ $self->{leaves} };
    AI::MXNet::AutoGrad->backward(
        $self->{heads},
        head_grads => $out_grads,
        retain_graph => 1,
        train_mode => $is_train // 1
    );
    for my $leaf (@{ $self->{leaves} }) {
        my ($array, $grad, $request) = @$leaf;
        $grad->set(0) if $request eq 'write' and not $array->_fresh_grad;
    }
    return;
}

sub set_monitor_callback
{
    my ($self, $callback) = @_;
    $self->{monitor} = $callback;
    return;
}

sub debug_str
{
    my $self = shift;
    return $self->{symbol}->debug_str;
}

1;
