package AI::MXNet::Optimizer;
use 5.014;
use strict;
use warnings;
use AI::MXNet::Keshi;
use AI::MXNet::Logging;
use AI::MXNet::Gluon::Arguments;
use AI::MXNet::LRScheduler;
use AI::MXNet::Registry;
use Mouse;

# What all optimizers share: rates, decays and their multipliers, counts of updates, and the registry of names.

has rescale_grad => (is => 'rw', isa => 'Num', default => 1);
has learning_rate => (is => 'rw', isa => 'Num', default => 0.01);
has wd => (is => 'rw', isa => 'Num', default => 0);
has lr => (is => 'rw', isa => 'Num', init_arg => undef);
has lr_scheduler => (is => 'rw', isa => 'Maybe[AI::MXNet::LRScheduler]');
has clip_gradient => (is => 'rw', isa => 'Maybe[Num]');
has [qw(param_idx2name param_dict)] => (is => 'rw', isa => 'HashRef', default => sub { +{} });
has sym => (is => 'rw', isa => 'Maybe[AI::MXNet::Symbol]');
has begin_num_update => (is => 'rw', isa => 'Int', default => 0);
has num_update => (is => 'rw', isa => 'Int');
has multi_precision => (is => 'ro', isa => 'Bool', default => 0);
has [qw(idx2name lr_mult wd_mult _index_update_count)] => (is => 'rw', isa => 'HashRef', init_arg => undef);

# -- the registry

my %registry;

sub get_opt_registry { return \%registry }

sub register
{
    my $class = shift;
    return AI::MXNet::Registry::add(\%registry, __PACKAGE__,
        'WARNING: New optimizer %s.%sis overriding existing optimizer %s.%s', $class);
}

sub create_optimizer
{
    my ($class, $name, @named) = @_;
    my $found = $registry{ lc($name // '') }
        or AI::MXNet::Keshi::fail('Cannot find optimizer ' . ($name // 'undef'));
    return $found->new(@named);
}
*create = \&create_optimizer;

sub get_updater
{
    my ($class, $optimizer) = @_;
    require AI::MXNet::Updater;
    return AI::MXNet::Updater->new(optimizer => $optimizer);
}

# -- making one

sub BUILD
{
    my ($self, $given) = @_;
    AI::MXNet::Gluon::Arguments::warn_of_others(ref $self, keys %$given);
    $self->lr($self->learning_rate);
    $self->lr_scheduler->base_lr($self->learning_rate) if defined $self->lr_scheduler;
    $self->num_update($self->begin_num_update);
    $self->_index_update_count({});
    $self->idx2name({ %{ $self->param_idx2name } });
    $self->set_lr_mult({});
    $self->set_wd_mult({});
    return;
}

# -- multipliers

# The values that the symbol's arguments carry for an attribute.
sub _from_symbol
{
    my ($self, $attribute) = @_;
    return if not defined $self->sym;
    my $attributes = $self->sym->attr_dict;
    return map { exists $attributes->{$_}{$attribute} ? ($_ => $attributes->{$_}{$attribute}) : () }
        grep { exists $attributes->{$_} } @{ $self->sym->list_arguments };
}

sub set_lr_mult
{
    my ($self, $multipliers) = @_;
    $self->lr_mult({ $self->_from_symbol('__lr_mult__'), %$multipliers });
    return;
}

sub set_wd_mult
{
    my ($self, $multipliers) = @_;
    my @undecayed = grep { !/_(?:weight|gamma)$/ } values %{ $self->idx2name };
    $self->wd_mult({ (map { ($_ => 0) } @undecayed), $self->_from_symbol('__wd_mult__'), %$multipliers });
    return;
}

sub set_lr_scale
{
    AI::MXNet::Logging->warning('set_lr_scale has no effect; use set_lr_mult');
    return;
}

sub set_learning_rate
{
    my ($self, $lr) = @_;
    AI::MXNet::Keshi::fail('LRScheduler of the optimizer has already been defined. Note that set_learning_rate can '
            . 'mutate the value of the learning rate of the optimizer only when the LRScheduler of the optimizer is undefined.'
    ) if defined $self->lr_scheduler;
    $self->lr($lr);
    return;
}

sub _multiplier
{
    my ($self, $index, $kind) = @_;
    my $table = $self->{$kind};
    return $table->{$index} if exists $table->{$index};
    my $name = $self->{idx2name}{$index};
    return defined $name ? $table->{$name} // 1 : 1;
}

sub _get_lr
{
    my ($self, $index) = @_;
    my $lr = defined $self->{lr_scheduler} ? $self->{lr_scheduler}->($self->{num_update}) : $self->{lr};
    my $parameter = $self->{param_dict}{$index};
    return $lr * ($parameter ? $parameter->lr_mult : $self->_multiplier($index, 'lr_mult'));
}

sub _get_wd
{
    my ($self, $index) = @_;
    my $parameter = $self->{param_dict}{$index};
    return $self->{wd} * ($parameter ? $parameter->wd_mult : $self->_multiplier($index, 'wd_mult'));
}

# -- counting

sub _update_count
{
    my ($self, $index) = @_;
    my $count = ++($self->{_index_update_count}{$index} //= $self->{begin_num_update});
    $self->{num_update} = $count if $count > $self->{num_update};
    return $self->{num_update};
}

# -- what an optimizer defines

sub create_state { return }

sub update
{
    my $self = shift;
    AI::MXNet::Keshi::fail(ref($self) . ': update is not implemented');
}

# float16 weights with a float32 copy, for any optimizer: the state is the copy and the state of the copy.

sub _is_low { return $_[0]{multi_precision} && $_[1]->dtype eq 'float16' }

sub create_state_multi_precision
{
    my ($self, $index, $weight) = @_;
    return $self->create_state($index, $weight) if not $self->_is_low($weight);
    my $master = $weight->astype('float32');
    return [$master, $self->create_state($index, $master)];
}

sub update_multi_precision
{
    my ($self, $index, $weight, $grad, $state) = @_;
    return $self->update($index, $weight, $grad, $state) if not $self->_is_low($weight);
    my ($master, $of_master) = @$state;
    $self->update($index, $master, $grad->astype('float32'), $of_master);
    $weight .= $master->astype('float16');
    return;
}

# Many at once: lists of indices, weights, gradients and states. A class that has an operator for it does better.
sub update_all
{
    my ($self, $indices, $weights, $grads, $states) = @_;
    $self->update_multi_precision($indices->[$_], $weights->[$_], $grads->[$_], $states->[$_]) for 0 .. $#$indices;
    return;
}

# -- for update operators

# Parameters that all update operators have.
sub _step
{
    my ($self, $lr, $index) = @_;
    return (
        lr => $lr,
        wd => $self->_get_wd($index),
        rescale_grad => $self->{rescale_grad},
        $self->{clip_gradient} ? (clip_gradient => $self->{clip_gradient}) : (),
    );
}

sub _zeros
{
    my ($weight, $stype, $dtype) = @_;
    return AI::MXNet::NDArray->zeros(
        $weight->shape,
        ctx => $weight->context,
        dtype => $dtype // $weight->dtype,
        $stype && $stype ne 'default' ? (stype => $stype) : ()
    );
}

# Calls an update operator on the weight, in place. Where the gradient has rows only, so has the update if it is lazy.
sub _run
{
    my ($operator, $lazy, $weight, $grad, $states, $with) = @_;
    if ($grad->stype eq 'default' and $weight->stype eq 'default') {
        AI::MXNet::NDArray->$operator($weight, $grad, @$states, { %$with, out => $weight });
        return;
    }
    require AI::MXNet::Optimizer::Rows;
    return AI::MXNet::Optimizer::Rows::run($operator, $lazy, $weight, $grad, $states, $with);
}

__PACKAGE__->meta->make_immutable;
no Mouse;

require AI::MXNet::Optimizer::Descent;
require AI::MXNet::Optimizer::Adaptive;

1;

__END__

=head1 NAME

AI::MXNet::Optimizer - updates of parameters along their gradients

=head1 SYNOPSIS

    use AI::MXNet qw(mx);
    my $optimizer = mx->optimizer->create('adam', learning_rate => 0.1, wd => 1e-4);
    my $weight = nd->array([1, 2, 3]);
    my $state = $optimizer->create_state(0, $weight);
    $optimizer->update(0, $weight, nd->array([0.5, -0.5, 0]), $state);
    print $weight->aspdl, "\n";

    my $updater = mx->optimizer->get_updater(mx->optimizer->SGD(learning_rate => 0.1, momentum => 0.9));
    $updater->(0, nd->ones([3]), $weight);    # makes and keeps the state of index 0

=head1 DESCRIPTION

C<mx-E<gt>optimizer-E<gt>create($name, ...)> makes an optimizer by its name in any case, C<mx-E<gt>optimizer-E<gt>SGD(...)> by that of
its class: C<SGD NAG Signum SGLD DCASGD LBSGD Adam AdaGrad AdaDelta Adamax Nadam RMSProp Ftrl FTML Test>.

=head2 Attributes

C<learning_rate> (0.01 for most), C<wd> (weight decay, 0), C<rescale_grad> (1), C<clip_gradient>, C<lr_scheduler> (see
L<AI::MXNet::LRScheduler>), C<multi_precision> (a float32 copy of float16 weights), C<param_idx2name>, C<param_dict>, C<sym>,
C<begin_num_update> and C<num_update>. C<lr> is the rate now; setting it leaves C<learning_rate> as it was.

=head2 Multipliers

The rate and the decay of an index are multiplied by C<lr_mult> and C<wd_mult>: those of its parameter in C<param_dict>, else what
C<set_lr_mult(\%by_name_or_index)> and C<set_wd_mult> gave, else the attributes of the symbol's variables. Names that end neither in
C<_weight> nor in C<_gamma> have no weight decay unless some is given.

=head2 A class of one's own

    package My::Shrink;
    use Mouse;
    extends 'AI::MXNet::Optimizer';
    sub create_state { my ($self, $index, $weight) = @_; ... }
    sub update
    {
        my ($self, $index, $weight, $grad, $state) = @_;
        $self->_update_count($index);
        $weight -= $self->_get_lr($index) * $grad + $self->_get_wd($index) * $weight;
    }
    __PACKAGE__->register;    # create('shrink') and mx->optimizer->Shrink(...)

C<update_all(\@indices, \@weights, \@grads, \@states)> updates many weights in as few calls as the class can.

=cut
