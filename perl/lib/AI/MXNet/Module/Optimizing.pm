package AI::MXNet::Module::Optimizing;
use 5.014;
use strict;
use warnings;
use AI::MXNet::KVStore;
use AI::MXNet::Logging;
use AI::MXNet::Module::Base;
use AI::MXNet::Optimizer;
use Scalar::Util qw(blessed);

# How the parameters of a module change by their gradients: its optimizer, the store that adds up for many contexts, and their state.

*_fail = \&AI::MXNet::Module::Base::_fail;
*_named = \&AI::MXNet::Module::Base::_named;

sub init_optimizer
{
    my ($self, @given) = @_;
    my $arg =
        _named('init_optimizer',
        { kvstore => 'local', optimizer => 'sgd', optimizer_params => { learning_rate => 0.01 }, force_init => 0 },
        @given);
    $self->_need(qw(binded params_initialized));
    if ($self->{optimizer_initialized} and not $arg->{force_init}) {
        AI::MXNet::Logging->warning('optimizer already initialized, ignoring...');
        return;
    }
    my $contexts = @{ $self->{context} };
    my $kvstore = $self->_make_kvstore($arg->{kvstore});
    my $group = $self->_exec_group;
    my $rescale = 1 / ($group->batch_size * ($kvstore && $kvstore->type =~ /dist.*_sync/ ? $kvstore->num_workers : 1));
    my @names = @{ $group->{params_in_order} };
    my %name_of = map {
        my $i = $_;
        $kvstore ? ($i => $names[$i]) : map { ($i * $contexts + $_ => $names[$i]) } 0 .. $contexts - 1
    } 0 .. $#names;
    my $optimizer = $arg->{optimizer};
    if (not ref $optimizer) {
        my $params = $arg->{optimizer_params} // {};
        $params->{rescale_grad} //= $rescale;
        $optimizer = AI::MXNet::Optimizer->create_optimizer(
            $optimizer,
            sym => $self->{symbol},
            param_idx2name => \%name_of,
            %$params
        );
    } elsif (abs($optimizer->rescale_grad - $rescale) > 1e-12) {
        AI::MXNet::Logging->warning(
'Optimizer created manually outside Module but rescale_grad is not normalized to 1.0/batch_size/num_workers (%s vs. '
                . '%s). Is this intended?',
            $optimizer->rescale_grad, $rescale
        );
    }
    @{$self}{qw(_optimizer _kvstore)} = ($optimizer, $kvstore);
    if ($kvstore) {
        $kvstore->set_optimizer($optimizer);
        $kvstore->init($names[$_], $self->{_arg_params}{ $names[$_] }) for 0 .. $#names;
    } else {
        $self->{_updater} = AI::MXNet::Optimizer->get_updater($optimizer);
    }
    $self->{optimizer_initialized} = 1;
    $self->load_optimizer_states(delete $self->{preload_states}) if defined $self->{preload_states};
    return;
}

# A store only where there is something to add up.
sub _make_kvstore
{
    my ($self, $given) = @_;
    return if not defined $given;
    return $given if blessed $given;
    return if @{ $self->{context} } == 1 and $given !~ /dist/;
    $self->get_params;
    return AI::MXNet::KVStore->create($given);
}

sub borrow_optimizer
{
    my ($self, $other) = @_;
    _fail('borrow_optimizer: the other module has no optimizer') if not $other->optimizer_initialized;
    $self->{$_} = $other->{$_} for qw(_optimizer _kvstore _updater);
    $self->{optimizer_initialized} = 1;
    return;
}

sub update
{
    my $self = shift;
    $self->_need(qw(binded params_initialized optimizer_initialized));
    $self->{params_dirty} = 1;
    my ($group, $kvstore, $contexts) = ($self->_exec_group, $self->{_kvstore}, scalar @{ $self->{context} });
    for my $i (0 .. $#{ $group->param_arrays }) {
        my ($arrays, $grads) = ($group->param_arrays->[$i], $group->grad_arrays->[$i]);
        next if not defined $grads->[0];
        if ($kvstore) {
            my $name = $group->{params_in_order}[$i];
            $kvstore->push($name, $grads, priority => -$i);
            $kvstore->pull($name, out => $arrays, priority => -$i, ignore_sparse => 0);
        } else {
            $self->{_updater}->($i * $contexts + $_, $grads->[$_], $arrays->[$_]) for 0 .. $#$arrays;
        }
    }
    return;
}

sub save_optimizer_states
{
    my ($self, $file) = @_;
    $self->_need('optimizer_initialized');
    return $self->{_kvstore}->save_optimizer_states($file) if $self->{_kvstore};
    open my $out, '>:raw', $file or _fail("save_optimizer_states: cannot write '$file': $!");
    print {$out} $self->{_updater}->get_states;
    close $out or _fail("save_optimizer_states: cannot write '$file': $!");
    return;
}

sub load_optimizer_states
{
    my ($self, $file) = @_;
    $self->_need('optimizer_initialized');
    return $self->{_kvstore}->load_optimizer_states($file) if $self->{_kvstore};
    open my $in, '<:raw', $file or _fail("load_optimizer_states: cannot read '$file': $!");
    $self->{_updater}->set_states(do { local $/ = undef; <$in> });
    return;
}

1;
