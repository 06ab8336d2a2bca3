package AI::MXNet::Gluon::Loss;
use 5.014;
use strict;
use warnings;
use AI::MXNet::Gluon::HybridBlock;
use Scalar::Util ();

# What training makes small: a number for each sample.

use AI::MXNet::Gluon::Mouse;
extends 'AI::MXNet::Gluon::HybridBlock';

has weight => (is => 'ro', isa => 'Maybe[Num]');
has batch_axis => (is => 'ro', isa => 'Int', default => 0);

# Weights of the samples, then that of the loss.
sub _weighted
{
    my ($self, $F, $loss, $sample_weight) = @_;
    $loss = $F->broadcast_mul($loss, $sample_weight) if defined $sample_weight;
    $loss = $loss * $self->{weight} if defined $self->{weight} and $self->{weight} != 1;
    return $loss;
}

# The mean over all axes but that of the batch.
sub _mean
{
    my ($self, $F, $loss, $sample_weight) = @_;
    return $F->mean($self->_weighted($F, $loss, $sample_weight), axis => $self->{batch_axis}, exclude => 1);
}

# Whether one number is left for each sample when an axis of an array is gone, so that its mean would be itself.
sub _is_single
{
    my ($self, $F, $x, $axis, $sample_weight) = @_;
    return
           $F eq 'AI::MXNet::NDArray'
        && !defined $sample_weight
        && $self->{batch_axis} == 0
        && ($axis == -1 || $axis == 1)
        && @{ $x->shape } == 2
        && ($self->{weight} // 1) == 1;
}

# Labels in the shape of what is predicted.
sub _like
{
    my ($self, $F, $x, $y) = @_;
    return $F->reshape_like($x, $y) if $F ne 'AI::MXNet::NDArray';
    AI::MXNet::Keshi::fail($self->class
            . ': got shapes ('
            . join(',', @{ $x->shape })
            . ') and ('
            . join(',', @{ $y->shape })
            . '), want as many labels as predictions')
        if $x->size != $y->size;
    return $x->reshape($y->shape);
}

sub _text
{
    my $self = shift;
    return sprintf '%s(batch_axis=%d, w=%s)', $self->class, $self->{batch_axis}, $self->{weight} // '';
}

# log(1 + exp(x)) - x * y for scores x and labels y between 0 and 1, without overflow.
sub _logistic
{
    my ($F, $x, $y) = @_;
    return $F->relu($x) - $x * $y + $F->Activation(-$F->abs($x), act_type => 'softrelu');
}

# Two arrays, or two symbols, are what every loss compares.
sub _check
{
    my ($self, $F, @compared) = @_;
    for my $i (0, 1) {
        my $got = $compared[$i];
        next if Scalar::Util::blessed($got) and grep { $got->isa($_) } $F, 'AI::MXNet::NDArray::Slice';
        AI::MXNet::Keshi::fail($self->class . ': '
                . ('predictions', 'labels')[$i] . ' got '
                . (ref $got || ($got // 'nothing'))
                . ", want an $F");
    }
    return;
}

# Defines a loss: its attributes, and hybrid_forward.
sub _define
{
    my ($name, $code, %attribute) = @_;
    my $class = __PACKAGE__ . "::$name";
    my $meta = Mouse::Meta::Class->create(
        $class,
        superclasses => [__PACKAGE__],
        methods => {
            hybrid_forward => sub {
                $_[0]->_check(@_[1 .. 3]) if ref $_[2] ne $_[1] or ref $_[3] ne $_[1];
                goto &$code;
            }
        }
    );
    $meta->add_attribute($_ => (is => 'ro', %{ $attribute{$_} })) for sort keys %attribute;
    $class->register(__PACKAGE__);
    return;
}

my %one = ('+weight' => { default => 1 });
my %yes = (isa => 'Bool', default => 1);
my %no = (isa => 'Bool', default => 0);

_define(
    L2Loss => sub {
        my ($self, $F, $x, $y, $weight) = @_;
        return $self->_mean($F, $F->square($x - $self->_like($F, $y, $x)) * 0.5, $weight);
    },
    %one
);

_define(
    L1Loss => sub {
        my ($self, $F, $x, $y, $weight) = @_;
        return $self->_mean($F, $F->abs($x - $self->_like($F, $y, $x)), $weight);
    }
);

for my $name (qw(SigmoidBinaryCrossEntropyLoss SigmoidBCELoss)) {
    _define(
        $name => sub {
            my ($self, $F, $x, $y, $weight) = @_;
            $y = $self->_like($F, $y, $x);
            return $self->_mean($F, _logistic($F, $x, $y), $weight) if not $self->{from_sigmoid};
            my $log = $F->log($x + 1e-12) * $y + $F->log(1 - $x + 1e-12) * (1 - $y);
            return $self->_mean($F, -$log, $weight);
        },
        from_sigmoid => \%no
    );
}

for my $name (qw(SoftmaxCrossEntropyLoss SoftmaxCELoss)) {
    _define(
        $name => sub {
            my ($self, $F, $x, $y, $weight) = @_;
            my $axis = $self->{axis};
            $x = $F->log_softmax($x, axis => $axis) if not $self->{from_logits};
            return -$F->pick($x, $y, axis => $axis)
                if $self->{sparse_label} and $self->_is_single($F, $x, $axis, $weight);
            my $log =
                  $self->{sparse_label}
                ? $F->pick($x, $y, axis => $axis, keepdims => 1)
                : $F->sum($x * $self->_like($F, $y, $x), axis => $axis, keepdims => 1);
            return $self->_mean($F, -$log, $weight);
        },
        axis => { isa => 'Int', default => -1 },
        sparse_label => \%yes,
        from_logits => \%no
    );
}

_define(
    KLDivLoss => sub {
        my ($self, $F, $x, $y, $weight) = @_;
        $x = $F->log_softmax($x, axis => $self->{axis}) if not $self->{from_logits};
        return $self->_mean($F, $y * ($F->log($y + 1e-12) - $x), $weight);
    },
    axis => { isa => 'Int', default => -1 },
    from_logits => \%yes
);

_define(
    HuberLoss => sub {
        my ($self, $F, $x, $y, $weight) = @_;
        my $rho = $self->{rho};
        my $off = $F->abs($x - $self->_like($F, $y, $x));
        return $self->_mean($F, $F->where($off > $rho, $off - 0.5 * $rho, $F->square($off) * (0.5 / $rho)), $weight);
    },
    rho => { isa => 'Num', default => 1 }
);

for my $squared (0, 1) {
    _define(
        ($squared ? 'SquaredHingeLoss' : 'HingeLoss') => sub {
            my ($self, $F, $x, $y, $weight) = @_;
            my $loss = $F->relu($self->{margin} - $x * $self->_like($F, $y, $x));
            $loss = $F->square($loss) if $squared;
            return $self->_mean($F, $loss, $weight);
        },
        margin => { isa => 'Num', default => 1 }
    );
}

_define(
    LogisticLoss => sub {
        my ($self, $F, $x, $y, $weight) = @_;
        $y = $self->_like($F, $y, $x);
        $y = ($y + 1) / 2 if $self->{label_format} eq 'signed';
        return $self->_mean($F, _logistic($F, $x, $y), $weight);
    },
    label_format => { isa => 'Str', default => 'signed' }
);

sub AI::MXNet::Gluon::Loss::LogisticLoss::BUILD
{
    my $format = $_[0]->label_format;
    AI::MXNet::Keshi::fail("label_format can only be signed or binary, recieved $format")
        if $format !~ /^(?:signed|binary)$/;
    return;
}

_define(
    TripletLoss => sub {
        my ($self, $F, $x, $positive, $negative, $weight) = @_;
        my ($near, $far) = map { $F->square($self->_like($F, $_, $x) - $x) } $positive, $negative;
        my $loss = $F->sum($near - $far, axis => $self->{batch_axis}, exclude => 1);
        return $self->_weighted($F, $F->relu($loss + $self->{margin}), $weight);
    },
    margin => { isa => 'Num', default => 1 }
);

_define(
    PoissonNLLLoss => sub {
        my ($self, $F, $x, $y, $weight, $epsilon) = @_;
        $y = $self->_like($F, $y, $x);
        my $loss = $self->{from_logits} ? $F->exp($x) - $y * $x : $x - $y * $F->log($x + ($epsilon // 1e-8));

        # Stirling's approximation of log(y!)
        $loss = $loss + ($y * $F->log($y) - $y + 0.5 * $F->log($y * 6.283185307179586)) * ($y > 1)
            if $self->{compute_full};
        return $F->mean($self->_weighted($F, $loss, $weight));
    },
    from_logits => \%yes,
    compute_full => \%no
);

_define(
    CosineEmbeddingLoss => sub {
        my ($self, $F, $x, $y, $label, $weight) = @_;
        $x = $self->_like($F, $x, $y);
        my ($across, $xx, $yy) =
            map { $F->sum($_, axis => -1, keepdims => 1)->reshape([-1, 1]) } $x * $y, $x * $x, $y * $y;
        my $lengths = $F->sqrt($xx * $yy);
        my $cosine = $across / $F->broadcast_maximum($lengths, $F->ones_like($lengths) * 1e-12);
        $label = $self->_like($F, $label, $cosine);
        my $loss = (1 - $cosine) * ($label == 1) + $F->relu(($cosine - $self->{margin}) * ($label == -1));
        return $self->_weighted($F, $loss, $weight);
    },
    margin => { isa => 'Num', default => 0 }
);

_define(
    CTCLoss => sub {
        my ($self, $F, $x, $y, $x_lengths, $y_lengths, $weight) = @_;
        $x = $F->swapaxes($x, dim1 => 0, dim2 => 1) if $self->{layout} eq 'NTC';
        $y = $F->swapaxes($y, dim1 => 0, dim2 => 1) if $self->{label_layout} eq 'TN';
        my $loss = $F->_contrib_CTCLoss(
            $x, $y,
            grep({ defined } $x_lengths, $y_lengths),
            use_data_lengths => defined $x_lengths ? 1 : 0,
            use_label_lengths => defined $y_lengths ? 1 : 0,
            blank_label => 'last'
        );
        return $self->_weighted($F, $loss, $weight);
    },
    layout => { isa => 'Str', default => 'NTC' },
    label_layout => { isa => 'Str', default => 'NT' }
);

sub AI::MXNet::Gluon::Loss::CTCLoss::BUILD
{
    my $self = shift;
    my ($layout, $label_layout) = ($self->layout, $self->label_layout);
    AI::MXNet::Keshi::fail("Only 'NTC' and 'TNC' layouts for pred are supported. Got: $layout")
        if $layout !~ /^(?:NTC|TNC)$/;
    AI::MXNet::Keshi::fail("Only 'NT' and 'TN' layouts for label are supported. Got: $label_layout")
        if $label_layout !~ /^(?:NT|TN)$/;
    $self->{batch_axis} = index $label_layout, 'N';
    return;
}

1;

__END__

=head1 NAME

AI::MXNet::Gluon::Loss - losses

=head1 SYNOPSIS

    use AI::MXNet qw(mx);
    use AI::MXNet::Gluon qw(gluon);
    my $loss = gluon->loss->SoftmaxCrossEntropyLoss();
    my $scores = nd->array([[1, 2, 3], [1, 0, -1]]);
    print $loss->($scores, nd->array([2, 1]))->aspdl;    # one number for each sample

=head1 DESCRIPTION

A loss is an L<AI::MXNet::Gluon::HybridBlock> that is called with predictions and labels, and perhaps weights of the samples,
and gives the mean over all axes but C<batch_axis>, times C<weight>. Arguments of the constructor are given by name.

    L1Loss, L2Loss
    SigmoidBinaryCrossEntropyLoss(from_sigmoid => 0)             also SigmoidBCELoss
    SoftmaxCrossEntropyLoss(axis => -1, sparse_label => 1,       also SoftmaxCELoss
        from_logits => 0)
    KLDivLoss(from_logits => 1, axis => -1)
    CTCLoss(layout => 'NTC', label_layout => 'NT')               (pred, label, pred_lengths, label_lengths, weights)
    HuberLoss(rho => 1)
    HingeLoss(margin => 1), SquaredHingeLoss(margin => 1)
    LogisticLoss(label_format => 'signed' or 'binary')
    TripletLoss(margin => 1)                                     (pred, positive, negative, weights)
    PoissonNLLLoss(from_logits => 1, compute_full => 0)          a single number
    CosineEmbeddingLoss(margin => 0)                             (x1, x2, label)

=cut
