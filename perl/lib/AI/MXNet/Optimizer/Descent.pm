package AI::MXNet::Optimizer::Descent;
use 5.014;
use strict;
use warnings;
use AI::MXNet::Optimizer::ByOperator;

# Optimizers that go along the gradient: AI::MXNet::SGD and its relatives.

package AI::MXNet::SGD;    ## no critic (ProhibitMultiplePackages)
use Mouse;
use AI::MXNet::Logging;
extends 'AI::MXNet::Optimizer::ByOperator';

has momentum => (is => 'rw', isa => 'Num', default => 0);
has lazy_update => (is => 'rw', isa => 'Bool', default => 1);

sub _warn_of_float16
{
    AI::MXNet::Logging->warning('Accumulating with float16 in optimizer can lead to poor accuracy or slow convergence. '
            . 'Consider using multi_precision=True option of the SGD optimizer');
    return;
}

sub _momentum_of
{
    my ($self, $weight) = @_;
    return if $self->{momentum} == 0;
    return AI::MXNet::Optimizer::_zeros($weight, $self->{lazy_update} ? $weight->stype : 'default');
}

# For float16 with a float32 copy: the momentum, or undef, and the copy.
sub create_state
{
    my ($self, $index, $weight) = @_;
    if ($self->_is_low($weight)) {
        my $master = $weight->astype('float32');
        return [scalar $self->_momentum_of($master), $master];
    }
    _warn_of_float16() if $weight->dtype eq 'float16';
    return scalar $self->_momentum_of($weight);
}

sub _operator
{
    my ($self, $state) = @_;
    my ($momentum, $master) = ref $state eq 'ARRAY' ? @$state : $state;
    return (
        ($master ? 'mp_' : '') . (defined $momentum ? 'sgd_mom_update' : 'sgd_update'),
        defined $momentum ? $momentum : (),
        $master // ()
    );
}

sub _constants_of { return $_[1] =~ /_mom_/ ? (momentum => $_[0]{momentum}) : () }

sub _counts_first { return 1 }

sub _is_lazy
{
    my ($self, $weight, $momentum) = @_;
    return !defined $momentum || $momentum->stype eq $weight->stype;
}

sub _keeps_master { return 1 }
sub create_state_multi_precision { my ($self, @args) = @_; return $self->create_state(@args) }
sub update_multi_precision { my ($self, @args) = @_; return $self->update(@args) }

__PACKAGE__->register;

package AI::MXNet::NAG;    ## no critic (ProhibitMultiplePackages)
use Mouse;
extends 'AI::MXNet::SGD';

sub create_state
{
    my ($self, $index, $weight) = @_;
    AI::MXNet::SGD::_warn_of_float16() if $weight->dtype eq 'float16' and not $self->multi_precision;
    return $self->{momentum} == 0 ? undef : AI::MXNet::Optimizer::_zeros($weight);
}

sub _operator { return defined $_[1] ? (_nag_update => $_[1]) : 'sgd_update' }
sub _constants_of { return $_[1] eq '_nag_update' ? (momentum => $_[0]{momentum}) : () }
sub _counts_first { return 0 }
sub _is_lazy { return 0 }
sub _keeps_master { return 0 }

sub create_state_multi_precision
{
    my ($self, @args) = @_;
    return $self->AI::MXNet::Optimizer::create_state_multi_precision(@args);
}

sub update_multi_precision
{
    my ($self, @args) = @_;
    return $self->AI::MXNet::Optimizer::update_multi_precision(@args);
}

__PACKAGE__->register;

package AI::MXNet::Signum;    ## no critic (ProhibitMultiplePackages)
use Mouse;
extends 'AI::MXNet::Optimizer::ByOperator';

has momentum => (is => 'rw', isa => 'Num', default => 0.9);
has wd_lh => (is => 'rw', isa => 'Num', default => 0);

sub create_state
{
    my ($self, $index, $weight) = @_;
    return $self->{momentum} == 0 ? undef : AI::MXNet::Optimizer::_zeros($weight, $weight->stype);
}

sub _operator { return defined $_[1] ? (signum_update => $_[1]) : 'signsgd_update' }

sub _constants_of
{
    my ($self, $operator) = @_;
    return $operator eq 'signum_update' ? (momentum => $self->{momentum}, wd_lh => $self->{wd_lh}) : ();
}

sub _counts_first { return 1 }

__PACKAGE__->register;

package AI::MXNet::SGLD;    ## no critic (ProhibitMultiplePackages)
use Mouse;
extends 'AI::MXNet::Optimizer';

sub create_state { return }

sub update
{
    my ($self, $index, $weight, $grad) = @_;
    my $lr = $self->_get_lr($index);
    $self->_update_count($index);
    AI::MXNet::Optimizer::_run('sgd_update', 0, $weight, $grad, [], { $self->_step($lr / 2, $index) });
    $weight += AI::MXNet::Random->normal(
        0, sqrt $lr, $weight->shape,
        ctx => $weight->context,
        dtype => $weight->dtype
    );
    return;
}

__PACKAGE__->register;

package AI::MXNet::DCASGD;    ## no critic (ProhibitMultiplePackages)
use Mouse;
extends 'AI::MXNet::Optimizer::ByOperator';

has momentum => (is => 'rw', isa => 'Num', default => 0);
has lamda => (is => 'rw', isa => 'Num', default => 0.04);
has weight_previous => (is => 'rw', init_arg => undef, default => sub { +{} });

# The momentum, or undef, and the weight before the last step.
sub create_state
{
    my ($self, $index, $weight) = @_;
    return [$self->{momentum} == 0 ? undef : AI::MXNet::Optimizer::_zeros($weight), $weight->copy];
}

sub _operator
{
    my ($self, $state) = @_;
    my ($momentum, $previous) = @$state;
    return defined $momentum ? (_dcasgd_mom_update => $previous, $momentum) : (_dcasgd_update => $previous);
}

sub _constants_of
{
    my ($self, $operator) = @_;
    return (lamda => $self->{lamda}, $operator eq '_dcasgd_mom_update' ? (momentum => $self->{momentum}) : ());
}

__PACKAGE__->register;

package AI::MXNet::LBSGD;    ## no critic (ProhibitMultiplePackages)
use Mouse;
use AI::MXNet::Logging;
extends 'AI::MXNet::Optimizer';

# Large batches: gradients of batch_scale batches are added up, and the rate of a layer is warmed up over the first epochs, or
# follows the ratio of the norms of weight and gradient (lars).

has momentum => (is => 'rw', isa => 'Num', default => 0);
has warmup_strategy => (is => 'rw', isa => 'Str', default => 'linear');
has warmup_epochs => (is => 'rw', isa => 'Num', default => 5);
has batch_scale => (is => 'rw', isa => 'Num', default => 1);
has updates_per_epoch => (is => 'rw', isa => 'Num', default => 32);
has begin_epoch => (is => 'rw', isa => 'Num', default => 0);
has num_epochs => (is => 'rw', isa => 'Num', default => 60);
has [qw(lbmult cumgrads adaptive init_updates init_num)] => (is => 'rw', init_arg => undef);

sub BUILD
{
    my $self = shift;
    AI::MXNet::Logging->info('Running Large-Batch SGD Algorithm');
    AI::MXNet::Logging->info(
        '(Batch_scale=%f, warmup_epochs=%d, warmup_strategy=%s, updates_per_epoch=%d)',
        map { $self->$_ } qw(batch_scale warmup_epochs warmup_strategy updates_per_epoch)
    );
    $self->init_updates($self->begin_epoch * $self->updates_per_epoch);
    $self->lbmult(1);
    $self->cumgrads({});
    return;
}

sub create_state
{
    my ($self, $index, $weight) = @_;
    if ($self->_is_low($weight)) {
        my $master = $weight->astype('float32');
        return [$self->{momentum} == 0 ? undef : AI::MXNet::Optimizer::_zeros($master), $master];
    }
    AI::MXNet::SGD::_warn_of_float16() if $weight->dtype eq 'float16';
    return $self->{momentum} == 0 ? undef : AI::MXNet::Optimizer::_zeros($weight, $weight->stype);
}

# How much of the full factor batch_scale the rate has after this many updates.
sub _get_lbmult
{
    my ($self, $updates) = @_;
    my $warmup = $self->warmup_epochs * $self->updates_per_epoch;
    my $most = $self->batch_scale;
    return $most if $updates >= $warmup;
    return 1 if $warmup <= 1;
    my $share = $updates / $warmup;
    my %share = (linear => $share, power2 => $share * $share, sqrt => sqrt $share);
    return 1 if not exists $share{ $self->warmup_strategy };
    return 1 + ($most - 1) * $share{ $self->warmup_strategy };
}

sub _get_lars
{
    my ($self, $weight, $grad, $wd) = @_;
    my ($w2, $g2) = map { $_->astype('float32')->square->sum->asscalar } $weight, $grad;
    my $lars = sqrt($w2 / ($g2 + $wd * $w2 + 1e-18));
    return $lars < 0.01 ? 0.01 : $lars > 100 ? 100 : $lars;
}

# The mean of the gradients of one large batch, with the last of them. A batch that training is resumed in counts from its first.
sub _cumulate
{
    my ($self, $index, $grad, $updates) = @_;
    my $sum = delete $self->cumgrads->{$index};
    $sum = defined $sum ? $sum + $grad : $grad->copy;
    return $sum / $self->batch_scale if $updates % $self->batch_scale == 0;
    $self->cumgrads->{$index} = $sum;
    return;
}

sub update
{
    my ($self, $index, $weight, $grad, $state) = @_;
    my $lr = $self->_get_lr($index);
    $self->_update_count($index);
    my $updates = $self->init_updates + $self->_index_update_count->{$index} - $self->begin_num_update;
    my $mean = $self->_cumulate($index, $grad, $updates) // return;
    my $factor =
          $self->warmup_strategy eq 'lars'
        ? $self->_get_lars($weight, $mean, $self->_get_wd($index))
        : $self->_get_lbmult($updates);
    $self->lbmult($factor);
    my %with = $self->_step($lr * $factor, $index);
    my ($momentum, $master) = ref $state eq 'ARRAY' ? @$state : $state;
    $with{momentum} = $self->{momentum} if defined $momentum;
    my $operator = ($master ? 'mp_' : '') . (defined $momentum ? 'sgd_mom_update' : 'sgd_update');
    return AI::MXNet::Optimizer::_run($operator, 1, $weight, $mean, [grep { defined } $momentum, $master], \%with);
}

sub create_state_multi_precision { my ($self, @args) = @_; return $self->create_state(@args) }
sub update_multi_precision { my ($self, @args) = @_; return $self->update(@args) }

__PACKAGE__->register;

package AI::MXNet::Test;    ## no critic (ProhibitMultiplePackages)
use Mouse;
extends 'AI::MXNet::Optimizer';

sub create_state
{
    my ($self, $index, $weight) = @_;
    return AI::MXNet::Optimizer::_zeros($weight);
}

sub update
{
    my ($self, $index, $weight, $grad, $state) = @_;
    $weight += $grad * $self->rescale_grad;
    $state .= $weight;
    return;
}

__PACKAGE__->register;

1;
